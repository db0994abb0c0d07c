"""The record of what the engine did lately, for tests, diagnosis and metrics."""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass

from diffusion_engine.outcome import Outcome

_KEPT_STEPS = 4096
_KEPT_ENDINGS = 4096


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of `pictures` pictures; a finished one also tells how long it waited for its first step."""

    outcome: Outcome
    pictures: int = 1
    waiting_ms: float | None = None
    steps_waited: int | None = None


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
    """The newest steps and endings, bounded; every method may be called from any thread."""

    def __init__(self) -> None:
        self._steps: deque[StepRecord] = deque(maxlen=_KEPT_STEPS)
        self._endings: deque[Ending] = deque(maxlen=_KEPT_ENDINGS)

    def add(self, step: StepRecord) -> None:
        """Appends a step; beyond the bound the oldest goes."""
        self._steps.append(step)

    def last(self, count: int) -> list[StepRecord]:
        """The newest `count` steps, oldest first."""
        steps = list(self._steps)
        return steps[max(0, len(steps) - count) :]

    def since(self, index: int) -> list[StepRecord]:
        """The steps after the one of that index, as far as they are kept, oldest first."""
        steps = list(self._steps)
        return steps[bisect.bisect_right(steps, index, key=lambda step: step.index) :]

    def end(self, ending: Ending) -> None:
        """Notes how pictures ended; beyond the bound the oldest note goes."""
        self._endings.append(ending)

    def take_endings(self) -> list[Ending]:
        """The endings not taken yet."""
        taken: list[Ending] = []
        while self._endings:
            taken.append(self._endings.popleft())
        return taken
