"""The bridge as a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from standalone.process import ChildProcess

# What the bridge gives the pictures under way when it is asked to stop.
DRAIN_SECONDS = 15
PROJECT = Path(__file__).resolve().parent.parent


class Bridge:
    """A bridge for one Triton; it can be started again after it has ended.

    Args:
        folder: where its log `bridge.log` goes.
        host, port: what it listens on.
        triton_url: host:port of its Triton's gRPC service.
        metrics_port: where its metrics are read on this machine; None for none.
        library: folder of its image library; None leaves that to the environment.
        repeats: whether equal requests are made once.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        triton_url: str,
        metrics_port: int | None = None,
        library: Path | None = None,
        repeats: bool = True,
    ) -> None:
        self.port = port
        self.metrics_port = metrics_port
        self.log = folder / "bridge.log"
        self._host = host
        self._triton_url = triton_url
        self._library_flags = [] if library is None else [f"--library={library.resolve()}"]
        if not repeats:
            self._library_flags.append("--repeats=false")
        self._process: ChildProcess | None = None

    @property
    def address(self) -> str:
        """host:port for a client on this machine."""
        return f"localhost:{self.port}"

    @property
    def exit_status(self) -> int | None:
        """None while it runs, else how it ended; 0 where it was stopped or never started."""
        return 0 if self._process is None else self._process.exit_status

    def start(self) -> None:
        """Starts the process; its health service tells when it serves."""
        self._process = ChildProcess(
            [
                *(sys.executable, "-m", "bridge"),
                *(f"--host={self._host}", f"--port={self.port}", f"--triton-url={self._triton_url}"),
                f"--drain-grace={DRAIN_SECONDS}",
                *self._library_flags,
                *([] if self.metrics_port is None else [f"--metrics-port={self.metrics_port}"]),
            ],
            self.log,
            os.environ,
            PROJECT,
            grace_seconds=DRAIN_SECONDS + 5,
        )

    def stop(self) -> None:
        """Stops it if it runs; it finishes the pictures under way within its grace time."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """Ends it at once, for one that no longer answers."""
        if self._process is not None:
            self._process.kill()

    def log_tail(self, lines: int = 15) -> str:
        """The newest lines of its log."""
        return "" if self._process is None else self._process.log_tail(lines)
