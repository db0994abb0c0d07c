"""A supervised server, as `starweave serve` runs it, that faults are done to."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import tritonclient.grpc as triton_grpc

from standalone.client import MODELS, SERVICE, Health, connect, health
from standalone.ports import LOOPBACK, free_port
from standalone.process import ChildProcess
from standalone.stack import StackSettings
from standalone.triton import SHARED_MEMORY

_START_SECONDS = 180.0
_PROJECT = Path(__file__).resolve().parents[2]
# Threads and connections of gRPC come and go by a few.
_SLACK = 16


class ServerNotReady(Exception):
    """The server did not come up, or not again; the message holds the end of its output."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a server holds on to: processes, regions of shared memory, files and threads of Triton and the bridge."""

    processes: int
    regions: int
    files: int
    threads: int

    def more_than(self, before: Holdings) -> list[str]:
        """What there is more of than before, as sentences."""
        leaks = []
        for name, slack in (("processes", 0), ("regions", 0), ("files", _SLACK), ("threads", _SLACK)):
            now, then = getattr(self, name), getattr(before, name)
            if now > then + slack:
                leaks.append(f"{now} {name}, {then} before")
        return leaks


class SupervisedServer:
    """`starweave serve` in a process of its own.

    Args:
        folder: takes its logs, its cache and its library, which is empty: one from an earlier run would answer the same
            requests with that run's pictures.
        repository: its model repository.
        environment: added to that of this process.
    """

    def __init__(self, folder: Path, repository: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.repository = repository
        self.port = free_port(27051)
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "standalone.command", "serve", f"--host={LOOPBACK}", f"--port={self.port}"]
        folders = [f"--repository={repository}", f"--folder={folder / 'work'}", f"--library={folder / 'library'}"]
        self.process = ChildProcess(
            [*command, *folders],
            folder / "serve.log",
            {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(_PROJECT), **(environment or {})},
            _PROJECT,
            grace_seconds=60,
        )

    @property
    def address(self) -> str:
        """host:port of its bridge."""
        return f"{LOOPBACK}:{self.port}"

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> None:
        """Waits until its models serve, upscalers too. Raises ServerNotReady."""
        deadline = time.monotonic() + seconds
        with connect(self.address) as channel:
            while not (
                all(health(channel, name) is Health.SERVING for name in (SERVICE, MODELS)) and self._is_complete()
            ):
                if self.process.exit_status is not None or time.monotonic() > deadline:
                    raise ServerNotReady(self.process.log_tail(30))
                time.sleep(0.1)

    def triton(self) -> psutil.Process:
        """Its `tritonserver`."""
        return self._one("tritonserver")

    def bridge(self) -> psutil.Process:
        """Its bridge."""
        return self._one("-m bridge")

    def model_process(self, model: str) -> psutil.Process:
        """The process in which Triton runs a Python model."""
        return self._one(f"triton_python_backend_stub .*/{model}/")

    def triton_grpc(self) -> str:
        """host:port of its Triton's gRPC service."""
        (port,) = [part.partition("=")[2] for part in self.triton().cmdline() if part.startswith("--grpc-port=")]
        return f"{LOOPBACK}:{port}"

    def holdings(self) -> Holdings:
        """What it holds now."""
        tree = psutil.Process(self.process.command_pid).children(recursive=True)
        both = (self.triton(), self.bridge())
        return Holdings(
            processes=len(tree),
            regions=len(list(SHARED_MEMORY.glob(f"starweave_{self.process.command_pid}_*"))),
            files=sum(each.num_fds() for each in both),
            threads=sum(each.num_threads() for each in both),
        )

    def stop(self) -> None:
        """Stops all of it."""
        self.process.stop()

    def _is_complete(self) -> bool:
        """Tells whether Triton has loaded every model.

        The bridge serves before it has upscalers loaded, and each Python model brings some 36 threads of Triton's: a
        pool of 32 and what watches its process.
        """
        models = [path.parent.name for path in self.repository.glob("*/config.pbtxt")]
        try:
            with triton_grpc.InferenceServerClient(self.triton_grpc()) as client:
                return all(client.is_model_ready(model) for model in models)
        except (psutil.NoSuchProcess, triton_grpc.InferenceServerException):
            return False

    def _one(self, pattern: str) -> psutil.Process:
        for child in psutil.Process(self.process.command_pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except psutil.NoSuchProcess:
                continue
            # Not the tether, whose command line holds that of its child.
            if re.search(pattern, line) and "tether.py" not in line:
                return child
        raise psutil.NoSuchProcess(0, name=pattern)


def demo_repository(folder: Path) -> Path:
    """A copy of the project's model repository, to be changed."""
    copy = folder / "model_repository"
    shutil.copytree(StackSettings().repository, copy)
    return copy
