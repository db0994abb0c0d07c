"""Keyed step batching: steps are batched, but only among requests of one key."""

from __future__ import annotations

from diffusion_engine.step_cost import StepCost

from benchmarks.job import Job
from benchmarks.policies.policy import Turn

Key = tuple[int, float, str]


class KeyedStepBatching:
    """Requests of equal size, guidance scale and sampler share steps; step counts may differ.

    With `blocking`, as vLLM-Omni documents its step execution: first in, first out, and a request of another key at
    the head of the queue lets nobody join before what runs has ended. Without, one queue for each key, taking turns
    step by step, each first in, first out: the best that can be had with such keys.
    """

    def __init__(self, cost: StepCost, blocking: bool) -> None:
        self._cost = cost
        self._blocking = blocking
        self._queue: list[Job] = []
        self._running: list[Job] = []
        self._lanes: dict[Key, list[Job]] = {}

    def add(self, job: Job) -> None:
        """Takes a job in."""
        if self._blocking:
            self._queue.append(job)
        else:
            self._lanes.setdefault(_key(job), []).append(job)

    def remove(self, job: Job) -> None:
        """Lets a finished job go."""
        if self._blocking:
            self._running.remove(job)
            return
        lane = self._lanes[_key(job)]
        lane.remove(job)
        if not lane:
            del self._lanes[_key(job)]

    def next_turn(self, now: float) -> Turn | None:
        """One step of what runs."""
        return self._next_blocking() if self._blocking else self._next_of_lanes()

    def wake_at(self) -> float | None:
        """Never: it waits for nothing but arrivals."""
        return None

    def _next_blocking(self) -> Turn | None:
        while self._queue and (not self._running or self._fits(self._queue[0])):
            self._running.append(self._queue.pop(0))
        return Turn(tuple(self._running), 1) if self._running else None

    def _fits(self, job: Job) -> bool:
        rows = sum(member.rows for member in self._running) + job.rows
        return _key(job) == _key(self._running[0]) and rows <= self._cost.budget_at(job.key.pixels)

    def _next_of_lanes(self) -> Turn | None:
        if not self._lanes:
            return None
        key = next(iter(self._lanes))
        lane = self._lanes.pop(key)
        self._lanes[key] = lane
        room = max(self._cost.budget_at(lane[0].key.pixels) // lane[0].rows, 1)
        return Turn(tuple(lane[:room]), 1)


def _key(job: Job) -> Key:
    settings = job.settings
    return settings.size, settings.guidance_scale, settings.sampler
