"""What became of a load: its pictures one by one, and the figures over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.statistics import Distribution

# While this share of the pictures arrives the queue is still filling up.
_WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class ServedPicture:
    """One picture that was asked for and made; times are seconds from the load's beginning.

    `alone` is what the same picture takes with nothing else on the machine, `mean_rows` the mean of UNet rows of its
    steps, `steps_waited` the steps that others took between its arrival and its first one.
    """

    arrival: float
    finished: float
    alone: float
    mean_rows: float
    steps_waited: float

    @property
    def latency(self) -> float:
        """Seconds from asking to having."""
        return self.finished - self.arrival

    @property
    def slowdown(self) -> float:
        """Latency over the time alone."""
        return self.latency / self.alone


@dataclass(frozen=True, slots=True)
class Served:
    """Figures of a served load: latencies in seconds, slowdowns, UNet rows per step as pictures saw them."""

    pictures: int
    pictures_per_second: float
    latency: Distribution
    slowdown: Distribution
    rows_per_step: float
    steps_waited: Distribution

    @classmethod
    def of(cls, pictures: Sequence[ServedPicture]) -> Served:
        """The figures; the first tenth to arrive is left out of all but the throughput."""
        arrived = sorted(pictures, key=lambda picture: picture.arrival)
        counted = arrived[int(_WARM_UP * len(arrived)) :]
        return cls(
            pictures=len(arrived),
            pictures_per_second=len(arrived) / (max(each.finished for each in arrived) - arrived[0].arrival),
            latency=Distribution.of([each.latency for each in counted]),
            slowdown=Distribution.of([each.slowdown for each in counted]),
            rows_per_step=sum(each.mean_rows for each in counted) / len(counted),
            steps_waited=Distribution.of([each.steps_waited for each in counted]),
        )
