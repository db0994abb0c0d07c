"""What a scheduling policy is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from benchmarks.job import Job


@dataclass(frozen=True, slots=True)
class Turn:
    """Jobs that take the next `evaluations` UNet steps together, with no other joining meanwhile."""

    members: tuple[Job, ...]
    evaluations: int

    @property
    def rows(self) -> int:
        """UNet rows of each of these steps."""
        return sum(member.rows for member in self.members)


class Policy(Protocol):
    """Decides what runs next. Times are seconds on the caller's clock."""

    def add(self, job: Job) -> None:
        """Takes a job in."""

    def remove(self, job: Job) -> None:
        """Lets a finished job go."""

    def next_turn(self, now: float) -> Turn | None:
        """What to run now; None where there is nothing, or nothing yet."""

    def wake_at(self) -> float | None:
        """When to ask again after a None though nothing arrives; None where only an arrival changes the answer."""
