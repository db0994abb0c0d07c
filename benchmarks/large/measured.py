"""A command as a child process, and what it needed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


class CommandFailed(Exception):
    """A command ended with a status other than 0; the text holds the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall-clock seconds, and the highest resident memory in GiB, mapped files included."""

    seconds: float
    peak_gib: float


def run_module(log: Path, module: str, *arguments: str) -> Measured:
    """Runs `python -m module`, its output into `log`; raises CommandFailed."""
    began = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        # Told, because Popen did not see it end.
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise CommandFailed(f"{module} {' '.join(arguments)} ended with status {process.returncode}:\n{tail}")
    return Measured(time.monotonic() - began, usage.ru_maxrss / 2**20)
