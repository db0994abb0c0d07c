"""How long to wait before a process that keeps failing is started again."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
# Failures further apart than this are not one series.
HEALTHY_SECONDS = 120.0


class BackOff:
    """Doubles the wait from failure to failure, and starts again after a healthy while.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = FIRST_SECONDS
        self._healthy_since: float | None = None

    def healthy(self) -> None:
        """What was started works."""
        self._healthy_since = self._clock()

    def failed(self) -> float:
        """What was started failed: returns the seconds to wait before the next start."""
        if self._healthy_since is not None and self._clock() - self._healthy_since >= HEALTHY_SECONDS:
            self._next = FIRST_SECONDS
        self._healthy_since = None
        wait = self._next
        self._next = min(self._next * 2, LONGEST_SECONDS)
        return wait
