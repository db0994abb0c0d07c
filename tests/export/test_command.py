"""The shell command: its options, what it tells people and scripts, and errors as one sentence."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from export.command import export
from export.progress import TerminalProgress
from tests.checkpoint import CHECKPOINT


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(export, [str(each) for each in arguments])


def test_an_error_is_one_sentence_and_a_status(tmp_path: Path) -> None:
    result = run(tmp_path, "--name", "demo", "--repository", tmp_path / "repository")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: ")
    assert "model_index.json" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_needed() -> None:
    assert run("somewhere").exit_code == 2


@pytest.mark.parametrize("name", ["../demo", "a/b", "/demo", "demo\n"])
def test_a_name_never_leaves_the_repository(name: str, tmp_path: Path) -> None:
    result = run(CHECKPOINT, "--name", name, "--repository", tmp_path / "inside" / "repository")
    assert result.exit_code == 1
    assert "can't be used" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_script_gets_the_error_as_json(tmp_path: Path) -> None:
    result = run(tmp_path, "--name", "demo", "--repository", tmp_path / "repository", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["kind"] == "NotACheckpoint"
    assert json.loads(result.stdout)["error"] in result.stderr


def test_a_script_gets_the_result_as_json_and_people_the_rest(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    result = run(
        CHECKPOINT,
        *("--name", "half", "--repository", repository),
        *("--precision", "fp16", "--no-quality", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["family"], report["version"], report["repository"]) == ("half", 1, str(repository))
    assert "half_unet" in report["models"]
    assert {each["part"] for each in report["comparisons"]} >= {"text_encoder", "unet", "vae_decoder"}
    assert "Writing unet in fp16." in result.stderr.splitlines()
    assert json.loads((repository / "half_unet" / "1" / "export.json").read_text())["precision"] == "fp16"


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """A bound on the size of files fails writes at the same places; the exporter writes in Python and in C++."""
    arguments = [str(CHECKPOINT), "--name", "demo", "--repository", str(tmp_path / "repository"), "--no-quality"]
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, {resource.RLIM_INFINITY}))
from export.command import export
export.main({arguments!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: The repository")
    assert "can't be written" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_shows_a_bar_and_a_file_does_not() -> None:
    shown = {}
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        progress = TerminalProgress(console)
        with progress.bar("Comparing unet", 2) as advance:
            advance()
            progress.say("One of two [done].")
            advance()
        with progress.bar("Writing unet"):
            pass
        file = console.file
        assert isinstance(file, io.StringIO)
        shown[terminal] = file.getvalue()
    assert "Comparing unet" in shown[True] and "2/2" in shown[True] and "Writing unet" in shown[True]
    assert "One of two [done]." in shown[True]
    assert shown[False] == "One of two [done].\n"
