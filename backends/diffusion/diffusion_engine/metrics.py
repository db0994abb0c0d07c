"""The engine's metrics: what they are called, and their values out of the engine's record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from diffusion_engine.engine import Engine


class Kind(StrEnum):
    """Kinds of Triton's custom metrics."""

    COUNTER = "COUNTER"
    GAUGE = "GAUGE"
    HISTOGRAM = "HISTOGRAM"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family; `buckets` are a histogram's upper bounds, `label` is one besides model and version."""

    name: str
    kind: Kind
    description: str
    buckets: tuple[float, ...] = ()
    label: str | None = None


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

STEPS: Final = Metric("starweave_steps_total", Kind.COUNTER, "UNet steps taken")
ROWS: Final = Metric(
    "starweave_step_rows", Kind.HISTOGRAM, "UNet rows of a step; a guided picture takes two", (1, 2, 4, 8, 16, 32, 64)
)
STEP_SECONDS: Final = Metric(
    "starweave_step_seconds", Kind.HISTOGRAM, "Duration of a step, packing and sampling included", _SECONDS
)
OVERHEAD_SECONDS: Final = Metric(
    "starweave_step_overhead_seconds_total", Kind.COUNTER, "Part of the steps' durations outside the UNet"
)
PICTURES: Final = Metric(
    "starweave_pictures_total",
    Kind.COUNTER,
    "Pictures that ended: finished, cancelled, expired, refused, drained or failed",
    label="outcome",
)
WAITING_SECONDS: Final = Metric(
    "starweave_waiting_seconds", Kind.HISTOGRAM, "Time from a finished picture's arrival to its first step", _SECONDS
)
JOIN_STEPS: Final = Metric(
    "starweave_join_steps",
    Kind.HISTOGRAM,
    "Steps of others between a finished picture's arrival and its first step",
    (0, 1, 2, 4, 8, 16, 32, 64, 128),
)
RUNNING: Final = Metric("starweave_running_pictures", Kind.GAUGE, "Pictures between their first step and their last")
WAITING: Final = Metric("starweave_waiting_pictures", Kind.GAUGE, "Pictures that have not taken a step yet")

METRICS: Final = (
    STEPS, ROWS, STEP_SECONDS, OVERHEAD_SECONDS, PICTURES, WAITING_SECONDS, JOIN_STEPS, RUNNING, WAITING,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """A value for a metric: an increment of a counter, an observation of a histogram, or a gauge's new value."""

    metric: Metric
    value: float
    label: str | None = None


class MetricReader:
    """Reads what is new in an engine's record since the last reading; for one reader."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last_step = 0

    def read(self) -> Iterator[Sample]:
        """The samples of everything that happened since the last call."""
        steps = self._engine.record.since(self._last_step)
        for step in steps:
            yield Sample(ROWS, step.rows)
            yield Sample(STEP_SECONDS, step.step_ms / 1e3)
        if steps:
            self._last_step = steps[-1].index
            yield Sample(STEPS, len(steps))
            yield Sample(OVERHEAD_SECONDS, sum(step.step_ms - step.unet_ms for step in steps) / 1e3)
        for ending in self._engine.record.take_endings():
            yield Sample(PICTURES, ending.pictures, ending.outcome)
            if ending.waiting_ms is not None and ending.steps_waited is not None:
                yield Sample(WAITING_SECONDS, ending.waiting_ms / 1e3)
                yield Sample(JOIN_STEPS, ending.steps_waited)
        running, waiting = self._engine.counts()
        yield Sample(RUNNING, running)
        yield Sample(WAITING, waiting)
