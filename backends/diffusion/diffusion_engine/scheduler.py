"""Which pictures take the next step together; knows no tensors and no clock of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Generic

from diffusion_engine.errors import WaitingRoomFull
from diffusion_engine.lane import BatchKey, Lane, T
from diffusion_engine.step_cost import StepCost

_PROMOTION_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """The pictures of one step; all of one key, their rows within the budget.

    `one_worker`: the step is one worker's, with others' beside it, and its budget that worker's share; else it has all
    of them.
    """

    key: BatchKey
    members: tuple[T, ...]
    one_worker: bool


class Scheduler(Generic[T]):
    """Continuous batching (Yu et al., Orca, OSDI 2022) with one UNet evaluation as the iteration.

    Within a key, the step goes to the pictures with the best priority and, among those, the least remaining work; who
    waits ages towards the front (`Lane`). Between keys, time is shared by deficit round robin (Shreedhar & Varghese,
    1995) with a step's seconds as its size, so that neither a large picture nor many small ones block the others.

    Where there are at least as many pictures as `workers`, each worker takes steps of its own and none waits for
    another; with fewer, a step has all workers, so that a picture alone is made as fast as they can together.
    Times are seconds on a clock of the caller's. Not thread-safe: the engine calls it under its lock.
    """

    def __init__(self, cost: StepCost, max_waiting: int, workers: int = 1) -> None:
        self._cost = cost
        self._workers = workers
        self._steps_under_way = 0
        self._max_waiting = max_waiting
        self._lanes: dict[BatchKey, Lane[T]] = {}
        self._turns: deque[Lane[T]] = deque()
        self._promoted_at = 0.0

    @property
    def waiting(self) -> int:
        """Pictures that have not taken a step yet."""
        return sum(lane.waiting for lane in self._turns)

    @property
    def running(self) -> int:
        """Pictures that have."""
        return sum(lane.started for lane in self._turns)

    def add(self, members: list[T]) -> None:
        """Lets the pictures of one request wait, all or none; raises WaitingRoomFull beyond `max_waiting`."""
        waiting = self.waiting
        if waiting + len(members) > self._max_waiting:
            raise WaitingRoomFull(
                f"{waiting} pictures are waiting and {self._max_waiting} may; "
                f"the expected wait is {self.expected_wait():.0f} s. Try again later or on another server."
            )
        for member in members:
            lane = self._lanes.get(member.key)
            if lane is None:
                lane = self._lanes[member.key] = Lane(member.key, self._cost)
                self._turns.append(lane)
            lane.add(member)

    def remove(self, member: T) -> None:
        """Takes a picture out, wherever it is; one that is already out is fine."""
        lane = self._lanes.get(member.key)
        if lane is None:
            return
        lane.remove(member)
        if lane.empty:
            del self._lanes[member.key]
            self._turns.remove(lane)

    def position(self, member: T) -> int | None:
        """A waiting picture's place in its key's order, 1 being next; None where it has started or is out."""
        lane = self._lanes.get(member.key)
        return lane.position(member) if lane else None

    def expected_wait(self) -> float:
        """Seconds that all the work taken in will take at full batches."""
        return sum(lane.work for lane in self._turns)

    def expected_seconds(self, members: list[T]) -> float:
        """Seconds until pictures not added yet would be finished, at full batches.

        Counts what goes before them in their key's order, their own steps, half of what others get of these steps'
        batches (on the average, half of that is for pictures behind them), and as much of every other key's work as its
        turns let it do meanwhile.
        """
        total = 0.0
        for member in members:
            own = self._lanes.get(member.key)
            lane = own or Lane(member.key, self._cost)
            before, work = lane.work_before(member), lane.work_of(member)
            shared = min(before, lane.seconds_in_full_batches(member) - work) / 2
            seconds = max(lane.seconds_alone(member), before + work + shared)
            seconds += sum(min(other.work, seconds) for other in self._turns if other is not own)
            total = max(total, seconds)
        return total

    @property
    def ready(self) -> bool:
        """Whether `next_batch` has one."""
        if self._one_worker:
            return any(lane.ready for lane in self._turns)
        return bool(self._turns) and not self._steps_under_way

    def next_batch(self, now: float) -> Batch[T] | None:
        """The next step's batch, until it is `done`; None where there is nothing to do or nobody to do it."""
        if not self.ready:
            return None
        if now - self._promoted_at >= _PROMOTION_SECONDS:
            self._promoted_at = now
            for lane in self._turns:
                lane.promote(now)
        one_worker = self._one_worker
        lane = self._next_lane()
        workers = self._workers if one_worker else 1
        self._steps_under_way += 1
        share = sum(lane.pixels for lane in self._turns) / workers
        return Batch(lane.key, lane.take(workers, share), one_worker)

    def done(self, batch: Batch[T]) -> None:
        """A batch's step is over; its pictures, as far as they are still in, may take the next."""
        self._steps_under_way -= 1
        lane = self._lanes.get(batch.key)
        if lane is not None:
            lane.give_back(batch.members)

    @property
    def _one_worker(self) -> bool:
        """Whether the next step is one worker's."""
        return 1 < self._workers <= self.running + self.waiting

    def _next_lane(self) -> Lane[T]:
        if len(self._turns) == 1:
            return self._turns[0]
        best = min(lane.best_class for lane in self._turns if lane.ready)
        contenders = [lane for lane in self._turns if lane.ready and lane.best_class == best]
        # With the dearest step as the quantum, every turn allows at least one step.
        quantum = max(lane.step_seconds for lane in contenders)
        while True:
            lane = self._turns[0]
            if lane.ready and lane.best_class == best:
                if lane.deficit >= lane.step_seconds:
                    lane.deficit -= lane.step_seconds
                    return lane
                lane.deficit += quantum
            self._turns.rotate(-1)
