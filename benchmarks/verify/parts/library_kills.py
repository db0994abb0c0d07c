"""The bridge is killed (kill -9) 20 times under load: its library loses no picture that was answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.library.kills import kill_loop
from benchmarks.verify.findings import Check, Findings
from standalone.stack import Stack, StackSettings
from standalone.status import Status

KILLS = 20


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """One Triton, and bridges on one library in turns."""
    stack = Stack(StackSettings(folder=folder / "stack"), Status())
    try:
        stack.start_missing(time.sleep)
        # Its Triton is used, with bridges that may be killed.
        stack.bridge.stop()
        outcome = kill_loop(stack.triton.grpc_url, folder, KILLS, say)
    finally:
        stack.close()
    checks = (
        Check(
            f"Of {outcome.answered} pictures answered over {outcome.kills} kills, {len(outcome.missing)} are missing.",
            not outcome.missing,
        ),
        Check(
            f"After `verify --repair` {len(outcome.after.orphans)} blobs belong to no picture and everything fits.",
            outcome.after.is_sound,
        ),
    )
    figures = {
        "pictures answered": outcome.answered,
        "pictures asked to be deleted": outcome.deleted,
        "pictures kept": outcome.after.images,
        "orphan blobs before the repair": len(outcome.before.orphans),
    }
    return Findings(checks, figures)
