"""README.md keeps its word: generated parts are current, links lead somewhere, every command runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.verify.other_version import stage_other_version
from export.deployment import Deployment
from export.repository import Repository
from standalone.stack import StackSettings
from tests.checkpoint import CHECKPOINT
from tests.readme import README, render

ROOT = README.parent
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README.read_text(), flags=re.S)
    for line in block.splitlines()
    if line and not line.startswith("#")
]
READY = "ready on port"
STARWEAVE = str(Path(sys.executable).with_name("starweave"))


def test_the_generated_parts_are_current() -> None:
    assert README.read_text() == render(README.read_text()), "run `make readme`"


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README.read_text())
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link.split("#")[0]).exists()]
    assert links and not missing


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_run_by_a_test(command: str) -> None:
    assert command in RUN_HERE, f"no test runs `{command}`"


def make_demo(tmp_path: Path, bridge_address: str, command: str) -> None:
    """With a server of its own, as on a fresh machine; the environment is there already."""
    picture = ROOT / "out" / "demo.png"
    picture.unlink(missing_ok=True)
    prompt = shlex.split(command)[2:]
    output = run(["make", "demo", *prompt], ROOT)
    assert "demo.png" in output
    with Image.open(picture) as image:
        assert image.size == (512, 512)


def make_test(tmp_path: Path, bridge_address: str, command: str) -> None:
    """This very run is `make test`, by way of `.ci/run`."""
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "pytest" in run(["make", "--dry-run", "test"], ROOT)


def make_serve(tmp_path: Path, bridge_address: str, command: str) -> None:
    serve_until_ready(["make", "serve"])


def install(tmp_path: Path, bridge_address: str, command: str) -> None:
    """The packages are there: the extras and constraints that it names must resolve to them."""
    arguments = shlex.split(command)[1:]
    output = run([sys.executable, "-m", "pip", *arguments, "--dry-run", "--no-build-isolation", "--quiet"], ROOT)
    assert "Would install torch" not in output


def client(tmp_path: Path, bridge_address: str, command: str) -> None:
    arguments = shlex.split(command)[1:]
    output = run([STARWEAVE, *arguments, "--address", bridge_address], tmp_path)
    if "generate" in arguments:
        with Image.open(tmp_path / "moon.png") as image:
            assert image.format == "PNG" and "Steps: 30" in image.text["parameters"]
    else:
        assert "demo" in output


def export(tmp_path: Path, bridge_address: str, command: str) -> None:
    arguments = shlex.split(command)[1:]
    arguments[arguments.index("--repository") + 1] = str(tmp_path / "models")
    arguments[1] = str(CHECKPOINT)
    assert "Compared unet" in run([STARWEAVE, *arguments], ROOT)
    serve_until_ready(
        [STARWEAVE, "serve", "--repository", str(tmp_path / "models"), "--folder", str(tmp_path / "stack")]
    )


def redeploy(tmp_path: Path, bridge_address: str, command: str) -> None:
    """With the demo, to which another version was exported: all of the commands in the order of the README."""
    repository = Repository(tmp_path / "models")
    shutil.copytree(StackSettings().repository, repository.path)
    with repository.staging() as staged:
        deployment = Deployment.open(repository, "demo")
        stage_other_version(deployment, staged, 2)
        deployment.add(staged, 2)

    def versions(command: str) -> str:
        arguments = shlex.split(command.replace("mine", "demo").replace("out/models", str(repository.path)))
        return run([STARWEAVE, *arguments[1:]], ROOT)

    assert "inactive" in versions(LIST)
    assert "Version 2 of demo is active" in versions(ACTIVATE)
    assert "Version 1 of demo is active" in versions(ROLLBACK)
    assert json.loads(versions(f"{PRUNE} --repository out/models --json"))["removed"] == [2]


LIST = ".venv/bin/starweave versions list mine --repository out/models"
ACTIVATE = ".venv/bin/starweave versions activate mine --repository out/models"
ROLLBACK = ".venv/bin/starweave versions rollback mine --repository out/models"
PRUNE = "starweave versions prune mine"

RUN_HERE = {
    "make demo": make_demo,
    'make demo PROMPT="a red heart on a white background"': make_demo,
    "make test": make_test,
    "make serve": make_serve,
    '.venv/bin/starweave generate "a yellow moon on a black background" -o moon.png --steps 30': client,
    ".venv/bin/starweave models": client,
    '.venv/bin/pip install -e ".[serve,export]" -c constraints.txt': install,
    ".venv/bin/starweave export export/demo/checkpoint --name mine --repository out/models": export,
    # Run with what the export above has made.
    ".venv/bin/starweave serve --repository out/models": None,
    ACTIVATE: redeploy,
    # Run with the activation.
    LIST: None,
    ROLLBACK: None,
}


@pytest.mark.parametrize("command", [command for command in COMMANDS if RUN_HERE.get(command)])
def test_commands_do_what_they_say(command: str, tmp_path: Path, bridge_address: str) -> None:
    RUN_HERE[command](tmp_path, bridge_address, command)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def serve_until_ready(command: list[str]) -> None:
    """Starts a stack, waits for the line that says it serves, and stops it as Ctrl-C does."""
    stack = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    lines: list[str] = []
    assert stack.stdout is not None
    for line in stack.stdout:
        lines.append(line)
        if READY in line:
            break
    os.killpg(stack.pid, signal.SIGINT)
    lines += stack.stdout.readlines()
    stack.stdout.close()
    status = stack.wait()
    assert any(READY in line for line in lines), "".join(lines)
    assert "Stopped." in lines[-1] or "Stopped." in "".join(lines), (status, "".join(lines))
