"""A child process whose output goes to a log file and which never outlives this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from standalone import tether


class ChildProcess:
    """A running command, started through `tether.py`.

    Args:
        command: program and arguments.
        log: file that its output is appended to.
        environment: its whole environment.
        folder: its working directory.
        grace_seconds: how long it may take to stop by itself before it is killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        folder: Path,
        grace_seconds: float,
    ) -> None:
        self.log = log
        self._grace_seconds = grace_seconds
        with log.open("ab") as output:
            # -S: the tether needs no packages. A session of its own keeps the terminal's Ctrl-C for us alone: we stop
            # the processes in order.
            self._tether = subprocess.Popen(
                [sys.executable, "-S", tether.__file__, str(os.getpid()), str(grace_seconds), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=folder,
                start_new_session=True,
            )

    @property
    def exit_status(self) -> int | None:
        """None while it runs; then its status, 128 + N where signal N ended it."""
        return self._tether.poll()

    @property
    def command_pid(self) -> int:
        """Process id of the command itself. Raises psutil.NoSuchProcess where it has ended."""
        children = psutil.Process(self._tether.pid).children()
        if not children:
            raise psutil.NoSuchProcess(self._tether.pid)
        return int(children[0].pid)

    def stop(self) -> None:
        """Asks it to stop and waits; after the grace time it is killed with everything it started."""
        if self.exit_status is not None:
            return
        self._tether.send_signal(signal.SIGTERM)
        try:
            self._tether.wait(self._grace_seconds + 10)
        except subprocess.TimeoutExpired:
            os.killpg(self._tether.pid, signal.SIGKILL)
            self._tether.wait()

    def kill(self) -> None:
        """Ends the command at once, for one that no longer answers."""
        try:
            os.kill(self.command_pid, signal.SIGKILL)
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass
        self.stop()

    def log_tail(self, lines: int = 15) -> str:
        """The newest lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
