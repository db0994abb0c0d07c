"""This project's policy: the engine's own scheduler."""

from __future__ import annotations

import sys

from diffusion_engine.scheduler import Batch, Scheduler
from diffusion_engine.step_cost import StepCost

from benchmarks.job import Job
from benchmarks.policies.policy import Turn


class ContinuousBatching:
    """Any mixture of steps, guidance scales and samplers shares a step (`diffusion_engine.scheduler`)."""

    def __init__(self, cost: StepCost) -> None:
        self._scheduler: Scheduler[Job] = Scheduler(cost, max_waiting=sys.maxsize)
        self._batch: Batch[Job] | None = None

    def add(self, job: Job) -> None:
        """Takes a job in."""
        self._scheduler.add([job])

    def remove(self, job: Job) -> None:
        """Lets a finished job go."""
        self._scheduler.remove(job)

    def next_turn(self, now: float) -> Turn | None:
        """One step of the scheduler's next batch."""
        if self._batch is not None:
            self._scheduler.done(self._batch)
        self._batch = batch = self._scheduler.next_batch(now)
        return Turn(batch.members, 1) if batch else None

    def wake_at(self) -> float | None:
        """Never: it waits for nothing but arrivals."""
        return None
