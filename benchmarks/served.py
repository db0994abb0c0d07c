"""What became of one load under one policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.job import Job
from benchmarks.statistics import Distribution

# Ahead of this share of the pictures the queue is still filling up.
_WARM_UP = 0.1


@dataclass(frozen=True, slots=True)
class Served:
    """Figures of a served load; latencies in seconds, slowdown is latency over the same picture's time alone."""

    pictures: int
    pictures_per_second: float
    latency: Distribution
    slowdown: Distribution
    rows_per_step: float
    steps_waited: Distribution

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> Served:
        """The figures of finished jobs; the first tenth to arrive is left out of all but the throughput."""
        counted = [job for job in jobs if job.index >= _WARM_UP * len(jobs)]
        first = min(job.arrival for job in jobs)
        return cls(
            pictures=len(jobs),
            pictures_per_second=len(jobs) / (max(job.finished for job in jobs) - first),
            latency=Distribution.of([job.latency for job in counted]),
            slowdown=Distribution.of([job.latency / job.alone for job in counted]),
            rows_per_step=sum(job.rows_seen for job in counted) / sum(job.turns for job in counted),
            steps_waited=Distribution.of([job.steps_waited for job in counted]),
        )
