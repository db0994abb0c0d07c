"""How long a busy engine takes for its steps, beside what they were measured to take."""

from __future__ import annotations

# A step's weight in the moving average, as a share of these seconds: what is expected of the next seconds follows from
# the last ones. No step weighs more than one in ten.
_SECONDS = 5.0
_MOST_WEIGHT = 0.1


class Pace:
    """A moving average of the time that steps take, over the time that was measured for them.

    On a machine that others use too it is above 1. What lies between the steps of a busy engine counts as well:
    pictures are let in and finished there. Times are seconds on one clock of the caller's.
    """

    def __init__(self) -> None:
        self.ratio = 1.0
        self._busy_since: float | None = None

    def rest(self) -> None:
        """There is nothing to do; the time until the next step does not count."""
        self._busy_since = None

    def step(self, began: float, ended: float, measured: float) -> None:
        """A step is done, which was measured to take `measured` seconds."""
        seconds = ended - (began if self._busy_since is None else self._busy_since)
        self._busy_since = ended
        self.ratio += min(_MOST_WEIGHT, seconds / _SECONDS) * (seconds / measured - self.ratio)
