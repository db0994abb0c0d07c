"""Runs of the baseline server, at its best worker and thread count."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.image_client import serve_load
from benchmarks.loads import ClosedLoop, PictureSettings
from benchmarks.served import Served


class BaselineFailed(Exception):
    """The baseline server did not start; the message ends with its output."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Pictures made at the same time, and torch's threads for each."""

    workers: int
    threads: int

    def __str__(self) -> str:
        return f"{self.workers} worker(s) of {self.threads} thread(s)"


@contextmanager
def running_baseline(checkpoint: Path, workers: Workers) -> Iterator[str]:
    """A baseline server, stopped at the end; gives its address."""
    command = [sys.executable, "-m", "benchmarks.starweave_server", str(checkpoint)]
    command += [f"--workers={workers.workers}", f"--threads={workers.threads}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            port = process.stdout.readline().strip() if process.stdout else ""
            if not port:
                raise BaselineFailed(f"The baseline server did not start; try `{' '.join(command)}`.")
            yield f"localhost:{port}"
        finally:
            process.kill()


def serve_closed(address: str, pictures: list[PictureSettings], clients: int) -> Served:
    """The pictures asked for by a number of clients, each waiting for its answer."""
    served = serve_load(address, "", ClosedLoop(pictures, clients), lambda picture: 1.0)
    return Served.of(served)


def choices(cores: int) -> Sequence[Workers]:
    """Worker and thread counts worth trying."""
    return (Workers(cores, 1), Workers(1, cores), Workers(2 * cores, 1))
