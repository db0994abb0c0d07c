"""`starweave serve` as a whole: what dies is started again, and nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from protos import starweave_pb2
from standalone.client import connect, image_service
from standalone.ports import free_port
from standalone.triton import SHARED_MEMORY

START_SECONDS = 120.0
READY = "ready on port"


@dataclass(frozen=True, slots=True)
class Serve:
    """A running `starweave serve` and the file its status lines go to."""

    process: subprocess.Popen[bytes]
    output: Path
    port: int

    def times_ready(self) -> int:
        """How often it said that it was ready."""
        assert self.process.poll() is None, self.output.read_text()
        return self.output.read_text().count(READY)

    def wait_until_ready(self, times: int) -> None:
        """Waits until it has said so `times` times."""
        _wait_for(lambda: self.times_ready() >= times, self.output)

    def family(self) -> list[psutil.Process]:
        """All processes it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, *words: str) -> psutil.Process:
        """The process whose program or arguments hold all `words`, tethers aside."""
        (found,) = (
            process
            for process in self.family()
            if all(word in " ".join(process.cmdline()) for word in words) and "tether.py" not in process.cmdline()[2]
        )
        return found


@contextmanager
def serving(folder: Path) -> Iterator[Serve]:
    """A `starweave serve` that is ready, killed at the end if it still runs."""
    port = free_port(17060)
    output = folder / "output"
    command = [sys.executable, "-m", "standalone.command", "serve", f"--port={port}", f"--folder={folder / 'work'}"]
    with output.open("wb") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        serve = Serve(process, output, port)
        try:
            serve.wait_until_ready(1)
            yield serve
        finally:
            process.kill()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """One `starweave serve` for the tests that mend it."""
    with serving(tmp_path_factory.mktemp("serve")) as running:
        yield running


@pytest.mark.parametrize(
    "words", [("bin/tritonserver",), ("stub", "demo_unet"), ("-m bridge",)], ids=["triton", "model process", "bridge"]
)
def test_what_dies_is_started_again(serve: Serve, words: tuple[str, ...]) -> None:
    ready, regions = serve.times_ready(), set(_shared_memory(serve))
    victim, triton = serve.find(*words), serve.find("bin/tritonserver")
    victim.kill()
    serve.wait_until_ready(ready + 1)
    assert serve.find(*words).pid != victim.pid
    if serve.find("bin/tritonserver").pid != triton.pid:
        assert not regions & set(_shared_memory(serve)), "the former Triton's memory is given back"
    with connect(f"localhost:{serve.port}") as channel:
        request = starweave_pb2.ImageRequest(prompt="a red circle", settings=starweave_pb2.ImageSettings(steps=2))
        response = image_service(channel).GenerateImage(request, timeout=60)
    assert response.error == ""
    assert response.image_data.startswith(b"\x89PNG")


def test_it_stops_cleanly_when_asked(tmp_path: Path) -> None:
    with serving(tmp_path) as serve:
        family = serve.family()
        serve.process.terminate()
        assert serve.process.wait(60) == 0
        assert serve.output.read_text().endswith("Stopped.\n")
        assert not any(process.is_running() for process in family)
        assert not _shared_memory(serve)


def test_nothing_stays_behind_when_it_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as serve:
        family = serve.family()
        assert len(family) >= 8, "two tethers, Triton, the bridge and the model processes"
        os.kill(serve.process.pid, signal.SIGKILL)
        _wait_for(lambda: not any(process.is_running() for process in family), serve.output)
        assert not _shared_memory(serve)


def _shared_memory(serve: Serve) -> list[Path]:
    return list(SHARED_MEMORY.glob(f"starweave_{serve.process.pid}_*"))


def _wait_for(condition: Callable[[], bool], output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.05)
