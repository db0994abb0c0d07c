"""Ten minutes of a mixed load: it keeps answering, as fast, in as much memory. (Longer: `make soak SECONDS=3600`.)"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.soak.soak import soak
from benchmarks.verify.findings import Findings

SECONDS = 600.0


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Soaks a server of its own for ten minutes."""
    return soak(folder, say, SECONDS)
