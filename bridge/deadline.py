"""The time that one call has, counted from its arrival."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """`seconds` from `arrived_at` (monotonic) on: everything counts, waiting and decoding included."""

    arrived_at: float
    seconds: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """A deadline that many seconds from now."""
        return cls(time.monotonic(), seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the arrival."""
        return time.monotonic() - self.arrived_at

    @property
    def remaining(self) -> float:
        """Seconds that are left, 0 when it has passed."""
        return max(0.0, self.seconds - self.elapsed)
