"""Whole-request batching: equal requests are batched for their whole run."""

from __future__ import annotations

from diffusion_engine.step_cost import StepCost

from benchmarks.job import Job
from benchmarks.policies.policy import Turn


class WholeRequestBatching:
    """First in, first out; the oldest request runs to its end with all that wait and are equal to it.

    Equal means the same size, steps, guidance scale and sampler, as in NVIDIA's Stable Diffusion tutorial for Triton
    and SGLang's dynamic batching. A batch that is not full waits until its oldest request has waited `delay` seconds.
    The rows of a batch are bounded as the engine bounds a step's.
    """

    def __init__(self, cost: StepCost, delay: float) -> None:
        self._cost = cost
        self._delay = delay
        self._queue: list[Job] = []
        self._wake_at: float | None = None

    def add(self, job: Job) -> None:
        """Takes a job in, at the queue's end."""
        self._queue.append(job)

    def remove(self, job: Job) -> None:
        """Nothing: a job leaves the queue when its batch begins."""

    def next_turn(self, now: float) -> Turn | None:
        """The oldest request's batch to its end, unless it may still fill up."""
        self._wake_at = None
        if not self._queue:
            return None
        head = self._queue[0]
        budget = max(self._cost.budget_at(head.key.pixels), head.rows)
        members = [job for job in self._queue if _key(job) == _key(head)][: budget // head.rows]
        full = (len(members) + 1) * head.rows > budget
        ripe = head.arrival + self._delay
        if not full and now < ripe:
            self._wake_at = ripe
            return None
        for job in members:
            self._queue.remove(job)
        return Turn(tuple(members), head.evaluations_left)

    def wake_at(self) -> float | None:
        """When the oldest request has waited long enough."""
        return self._wake_at


def _key(job: Job) -> tuple[int, int, float, str]:
    settings = job.settings
    return settings.size, settings.steps, settings.guidance_scale, settings.sampler
