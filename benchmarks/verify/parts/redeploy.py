"""Versions are swapped, refused and rolled back under load, and no request fails or mixes two versions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.verify.findings import Findings
from benchmarks.verify.redeployment import FailedSwap, Rollback, Swap, redeploy

SECONDS = 60.0


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Two swaps, a rollback, a failed swap, and a swap that takes the place of what was rolled back."""
    return redeploy(folder, [Swap(2), Swap(3), Rollback(2), FailedSwap(4), Swap(5)], SECONDS, say)
