"""The record of the engine's last steps, for tests and diagnosis."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

_KEPT_STEPS = 4096


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One UNet step: who took part, in how many rows, at which size in pixels, and how long it took.

    `unet_ms` is the UNet alone, `step_ms` the whole step with packing, guidance and sampling.
    """

    index: int
    ids: tuple[str, ...]
    rows: int
    width: int
    height: int
    unet_ms: float
    step_ms: float


class Record:
    """The newest steps, bounded. Written by the engine's thread; reading from another thread is safe."""

    def __init__(self) -> None:
        self._steps: deque[StepRecord] = deque(maxlen=_KEPT_STEPS)

    def add(self, step: StepRecord) -> None:
        """Appends a step; beyond the bound the oldest goes."""
        self._steps.append(step)

    def last(self, count: int) -> list[StepRecord]:
        """The newest `count` steps, oldest first."""
        steps = list(self._steps)
        return steps[max(0, len(steps) - count) :]
