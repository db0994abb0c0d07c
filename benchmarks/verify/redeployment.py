"""Versions that come, go and fail while clients ask for pictures."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import tritonclient.grpc as triton_grpc
from onnx import numpy_helper

from benchmarks.verify.clients import CLIENTS, REQUESTS, Given, ask, asking
from benchmarks.verify.findings import Check, Findings
from benchmarks.verify.other_version import GRAPH, stage_other_version
from benchmarks.verify.version_client import VersionClient
from export.demo_family import REPOSITORY
from export.deployment import Deployment
from export.repository import Repository
from standalone.client import connect
from standalone.stack import Stack, StackSettings
from standalone.status import Status

FAMILY: Final = "demo"
# Pictures of the same version differ by what the order of sums in a batch does to them; those of others are far away.
SAME_DB: Final = 40.0
OTHER_DB: Final = 30.0
_WAIT_SECONDS: Final = 280.0

Pictures = list[npt.NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Swap:
    """A new version comes in and is activated."""

    version: int


@dataclass(frozen=True, slots=True)
class FailedSwap:
    """A new version comes in whose weights are broken; its activation is refused."""

    version: int


@dataclass(frozen=True, slots=True)
class Rollback:
    """The version before is made active again."""

    version: int


Step = Swap | FailedSwap | Rollback


def redeploy(folder: Path, steps: Sequence[Step], seconds: float, say: Callable[[str], None]) -> Findings:
    """Goes through the steps while clients ask, for so many seconds at least, and judges every picture."""
    repository = Repository(folder / "model_repository")
    shutil.copytree(REPOSITORY, repository.path)
    stack = Stack(StackSettings(repository.path, folder / "stack"), Status())
    try:
        stack.start_missing(time.sleep)
        run = _Redeployment(repository, stack.triton.grpc_url, stack.bridge.address)
        run.refer(1)
        began = time.monotonic()
        with asking(stack.bridge.address) as given:
            for step in steps:
                say(f"{step}, {len(given)} pictures so far")
                run.take(step)
                # So many of the clients' own pictures, too, are made by what is active now.
                before = len(given)
                _wait_until(lambda before=before: run.count_active(given[before:]) >= CLIENTS)
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))
        elapsed = time.monotonic() - began
    finally:
        stack.close()
    return run.judge(given, elapsed)


class _Redeployment:
    def __init__(self, repository: Repository, triton_url: str, bridge_address: str) -> None:
        self._repository = repository
        self._triton_url = triton_url
        self._bridge_address = bridge_address
        self._references: dict[int, Pictures] = {}
        self._mixed: list[float] = []
        self._checks: list[Check] = []
        self._active = 1

    def take(self, step: Step) -> None:
        """Does what the step says, with the commands that an operator uses."""
        match step:
            case Swap(version):
                self._add(version)
                self.refer(version)
                self._command(f"Version {version} is activated.", "activate", version)
            case FailedSwap(version):
                self._add(version, broken=True)
                self._command(f"Version {version}, which is broken, is refused.", "activate", self._active, ok=False)
            case Rollback(version):
                self._command(f"Version {version} is rolled back to.", "rollback", version)
        self._wait_until_active()

    def count_active(self, given: Sequence[Given]) -> int:
        """How many of the pictures the active version has made."""
        return sum(each.version == self._active for each in given)

    def refer(self, version: int) -> None:
        """Makes the reference pictures of a version, as soon as the bridge has had it loaded."""
        with triton_grpc.InferenceServerClient(self._triton_url) as client:
            models = VersionClient(client, FAMILY, version)
            _wait_until(models.is_loaded)
            self._references[version] = [models.picture(request) for request in REQUESTS]
            if version != self._active:
                mixed = VersionClient(client, FAMILY, version, self._active)
                pictures = map(mixed.picture, REQUESTS)
                self._mixed += map(_psnr, pictures, self._references[version])

    def judge(self, given: Sequence[Given], seconds: float) -> Findings:
        """Compares every picture with the references."""
        failed = [each.error for each in given if each.error]
        made = [each for each in given if not each.error]
        likeness = [self._likeness(each) for each in made]
        mixed = sum(each < SAME_DB for each in likeness)
        misnamed = sum(each.version != each.version_in_file for each in made)
        others = [
            _psnr(one, other)
            for first, second in itertools.combinations(self._references.values(), 2)
            for one, other in zip(first, second, strict=True)
        ]
        seen = sum(each < SAME_DB for each in self._mixed)
        by_version = {version: sum(each.version == version for each in made) for version in self._references}
        checks = [
            Check(f"{len(failed)} of {len(given)} requests failed. {failed[0] if failed else ''}".strip(), not failed),
            Check(f"{mixed} of {len(made)} pictures are not those of the version that they report.", not mixed),
            Check(f"{misnamed} of {len(made)} files name another version than the answer.", not misnamed),
            Check(f"No two versions make like pictures: {max(others):.0f} dB at most.", max(others) < OTHER_DB),
            Check(
                f"Another version's text encoder alone would be seen in {seen} of {len(self._mixed)} pictures.",
                seen > len(self._mixed) / 2,
            ),
            Check(f"Every version made pictures: {by_version}.", all(by_version.values())),
        ]
        figures = {
            "seconds": seconds,
            "pictures": len(made),
            "least likeness to the reference in dB": min(likeness, default=0.0),
            "greatest likeness of two versions in dB": max(others),
        }
        return Findings((*self._checks, *checks), figures)

    def _likeness(self, given: Given) -> float:
        """To the reference of the version that it reports; one that was never to be active has none."""
        references = self._references.get(given.version)
        return _psnr(given.pixels, references[given.request]) if references else 0.0

    def _add(self, version: int, broken: bool = False) -> None:
        """What an export does, without the torch."""
        with self._repository.staging() as staged:
            deployment = Deployment.open(self._repository, FAMILY)
            stage_other_version(deployment, staged, version)
            if broken:
                _break(staged / f"{FAMILY}_unet" / str(version) / GRAPH)
            deployment.add(staged, version)

    def _command(self, claim: str, verb: str, active: int, ok: bool = True) -> None:
        command = [sys.executable, "-m", "standalone.command", "versions", verb, FAMILY, "--json"]
        done = subprocess.run(
            [*command, "--repository", str(self._repository.path)], capture_output=True, text=True, check=False
        )
        told = json.loads(done.stdout)["active"] if done.returncode == 0 else None
        is_active = Deployment.open(self._repository, FAMILY).active == active
        self._checks.append(
            Check(f"{claim} {done.stderr.strip()}".strip(), is_active and told == (active if ok else None))
        )
        self._active = active

    def _wait_until_active(self) -> None:
        """Returns when the bridge has taken over what is active."""
        with connect(self._bridge_address) as channel:
            _wait_until(lambda: ask(channel, 0).version == self._active)


def _break(graph: Path) -> None:
    """Gives a graph a weight that makes no number of anything."""
    model = onnx.load(graph)
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(np.nan), weight.name))
    onnx.save(model, graph)


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("The server did not take the change over.")
        time.sleep(0.2)


def _psnr(picture: npt.NDArray[np.uint8] | None, reference: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB; 99 for equal pictures, 0 for one of another shape."""
    if picture is None or picture.shape != reference.shape:
        return 0.0
    error = float(np.mean((picture.astype(float) - reference.astype(float)) ** 2))
    return min(99.0, 10 * float(np.log10(255**2 / error))) if error else 99.0
