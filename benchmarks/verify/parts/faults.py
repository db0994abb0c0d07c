"""Whatever fails under a supervised server under load, nobody is left without an answer and nothing is left over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.matrix import FAULTS, Outcome, endure
from benchmarks.faults.server import SupervisedServer, demo_repository
from benchmarks.faults.small_disk import small_disk
from benchmarks.verify.findings import Check, Findings


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Lets every fault happen at full size to one server, one after the other."""
    repository = demo_repository(folder)
    outcomes: list[Outcome] = []
    with small_disk(folder / "disk") as disk:
        server = SupervisedServer(disk, repository)
        try:
            server.wait_until_ready()
            for fault in FAULTS.values():
                outcome = asyncio.run(endure(server, fault, fault.full))
                say(f"{fault.name}: {_told(outcome)}")
                outcomes.append(outcome)
        finally:
            server.stop()
    return Findings(
        checks=tuple(check for outcome in outcomes for check in _checks(outcome)),
        figures={outcome.fault: _told(outcome) for outcome in outcomes},
    )


def _told(outcome: Outcome) -> str:
    return (
        f"{outcome.asked} asked for, {len(outcome.lost)} failed with an error, {outcome.unanswered} without an answer; "
        f"a picture after {outcome.recovery_seconds:.1f} s; left over: {', '.join(outcome.leaks) or 'nothing'}"
    )


def _checks(outcome: Outcome) -> list[Check]:
    checks = [
        Check(f"{outcome.fault}: every request is answered before its deadline.", outcome.unanswered == 0),
        Check(f"{outcome.fault}: nothing is left over.", not outcome.leaks),
    ]
    if not FAULTS[outcome.fault].loses:
        checks.append(Check(f"{outcome.fault}: no picture is lost.", not outcome.lost))
    return checks
