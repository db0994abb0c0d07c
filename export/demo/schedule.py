"""How long to train, and with what learning rate while it lasts."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

_WARM_UP_STEPS = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training is: steps done and the part of the time that is used up (0 to 1)."""

    step: int
    elapsed: float

    def learning_rate(self, peak: float) -> float:
        """Linear warm-up over 100 steps, then a cosine down to a hundredth of `peak` at the end of the time."""
        warm_up = min(1.0, (self.step + 1) / _WARM_UP_STEPS)
        return peak * warm_up * (0.5 * (1 + math.cos(math.pi * self.elapsed)) + 0.01)


def training_steps(minutes: float) -> Iterator[Progress]:
    """Counts steps until `minutes` are over."""
    start = time.monotonic()
    step = 0
    while (elapsed := (time.monotonic() - start) / 60 / minutes) < 1:
        yield Progress(step, elapsed)
        step += 1
