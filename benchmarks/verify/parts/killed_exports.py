"""Exports killed with SIGKILL at random: the repository serves every time, and the next export succeeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.verify.findings import Findings
from benchmarks.verify.killed_exports import kill_exports

KILLS = 10


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Ten exports are killed, and each is followed by one that is not."""
    return kill_exports(folder, kills=KILLS, exports=KILLS, say=say)
