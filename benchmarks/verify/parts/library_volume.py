"""A library of 100,000 pictures lists, searches and finds similar ones; how that grows from 1,000."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.library.postgresql_server import PostgresqlServer, programs
from benchmarks.library.volume import Answers, measure
from benchmarks.verify.findings import Check, Findings
from bridge.library.location import Location

SIZES = (1_000, 100_000)
REPEATS = 60
# What a person who looks for a picture does not notice as waiting.
BOUND_SECONDS = 1.0


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """SQLite, and PostgreSQL where it is installed."""
    say("SQLite")
    found = {"SQLite": measure(Location(folder / "library"), SIZES, REPEATS, say)}
    binaries = programs()
    if binaries is not None:
        say("PostgreSQL")
        server = PostgresqlServer(binaries)
        try:
            server.start()
            found["PostgreSQL"] = measure(Location(folder, server.create("volume")), SIZES, REPEATS, say)
        finally:
            server.close()
    checks = [_check(database, answers) for database, kinds in found.items() for answers in kinds]
    figures: dict[str, int | float | str] = {}
    for database, kinds in found.items():
        for answers in kinds:
            for size, seconds in answers.p95.items():
                figures[f"{database}, {answers.question}: p95 at {size} pictures, ms"] = seconds * 1000
            figures[f"{database}, {answers.question}: growth, times"] = answers.growth
    return Findings(tuple(checks), figures)


def _check(database: str, answers: Answers) -> Check:
    slowest = answers.p95[max(answers.p95)]
    return Check(
        f"{database}, {answers.question}: p95 at {max(answers.p95)} pictures is {slowest * 1000:.0f} ms, "
        f"below {BOUND_SECONDS * 1000:.0f} ms.",
        slowest < BOUND_SECONDS,
    )
