"""Exports that are killed anywhere, into a repository that a Triton serves."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import tritonclient.grpc as triton_grpc

from benchmarks.verify.clients import REQUESTS
from benchmarks.verify.findings import Check, Findings
from benchmarks.verify.version_client import VersionClient
from export.demo_family import CHECKPOINT, REPOSITORY
from export.deployment import Deployment
from export.repository import Repository
from standalone.triton import Triton, TritonPorts

FAMILY: Final = "demo"
_READY_SECONDS: Final = 300.0
# What an export of the demo says is some 20 lines; it is killed this long, at most, after one of them.
_LINES: Final = 20
_LONGEST_PAUSE: Final = 0.4


def kill_exports(folder: Path, kills: int, exports: int, say: Callable[[str], None]) -> Findings:
    """Kills exports of the demo, looks after each that its family serves, and lets an export succeed `exports` times.

    The successful ones are spread evenly among the kills; the last of all is one of them.
    """
    repository = Repository(folder / "model_repository")
    shutil.copytree(REPOSITORY, repository.path)
    triton = Triton(repository.path, folder / "triton", TritonPorts.free())
    chance = random.Random(kills)
    checks = []
    try:
        triton.start()
        triton.wait_until_ready(_READY_SECONDS, time.sleep)
        for number in range(1, kills + 1):
            killed_at = _kill_export(repository, chance)
            problem = _served(repository, triton)
            checks.append(Check(f"Killed {killed_at}, the family serves. {problem}".strip(), not problem))
            say(checks[-1].sentence)
            if number * exports // kills > (number - 1) * exports // kills:
                checks.append(_export(repository))
                say(checks[-1].sentence)
    finally:
        triton.stop()
    staging = folder / ".model_repository.export"
    checks.append(Check("Nothing is left of the killed exports.", not staging.exists()))
    return Findings(tuple(checks), {"kills": kills})


def _command(repository: Repository) -> list[str]:
    options = ["--name", FAMILY, "--repository", str(repository.path), "--size-policy", "fit"]
    return [sys.executable, "-m", "export", str(CHECKPOINT), *options]


def _kill_export(repository: Repository, chance: random.Random) -> str:
    """Kills an export at random, and tells when that was."""
    line, pause = chance.randint(0, _LINES), chance.uniform(0, _LONGEST_PAUSE)
    said = "nothing"
    with subprocess.Popen(_command(repository), stdout=subprocess.PIPE, text=True) as export:
        assert export.stdout is not None
        for _ in range(line):
            said = export.stdout.readline().strip() or said
        time.sleep(pause)
        export.send_signal(signal.SIGKILL)
    return f"{pause:.2f} s after it had said {said!r}"


def _served(repository: Repository, triton: Triton) -> str:
    """Has Triton take over what there is, and make a picture on the active version; a sentence where it does not."""
    try:
        deployment = Deployment.open(repository, FAMILY)
        with triton_grpc.InferenceServerClient(triton.grpc_url) as client:
            for ensemble in deployment.ensembles:
                client.load_model(ensemble)
                if not client.is_model_ready(ensemble):
                    return f"{ensemble} is not ready."
            VersionClient(client, FAMILY, deployment.active).picture(REQUESTS[0])
    except Exception as error:
        return str(error)
    return ""


def _export(repository: Repository) -> Check:
    before = max(version.number for version in Deployment.open(repository, FAMILY).versions())
    done = subprocess.run(_command(repository), capture_output=True, text=True, check=False)
    versions = Deployment.open(repository, FAMILY).versions()
    is_new = len(versions) == 2 and versions[-1].number > before
    held = done.returncode == 0 and is_new and not any(version.missing for version in versions)
    return Check(f"The next export succeeds. {done.stderr.strip()}".strip(), held)
