"""How long a busy engine takes for its steps, beside what they were measured to take."""

from __future__ import annotations

from diffusion_engine.step_cost import StepCost

# A step's weight in the moving average, as a share of these seconds: what is expected of the next seconds follows from
# the last ones. No step weighs more than one in ten.
_SECONDS = 5.0
_MOST_WEIGHT = 0.1


class Pace:
    """A moving average of the time that steps take, over the time that was measured for them.

    On a machine that others use too it is above 1. Not thread-safe: the engine's workers call it under its lock.
    """

    def __init__(self, cost: StepCost, workers: int) -> None:
        self.ratio = 1.0
        self._cost = cost
        self._workers = workers

    def step(self, seconds: float, rows: int, pixels: int, one_worker: bool) -> None:
        """A step of so many rows of latent pixels took one worker, or else all of them, `seconds`."""
        # One worker's step takes as long as one of as many rows for each of them, and is its share of the machine.
        sharers = self._workers if one_worker else 1
        measured = self._cost.step_seconds(rows * sharers, pixels)
        self.ratio += min(_MOST_WEIGHT, seconds / sharers / _SECONDS) * (seconds / measured - self.ratio)
