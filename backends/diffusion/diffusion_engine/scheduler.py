"""Which pictures take the next step together; knows no tensors."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from diffusion_engine.errors import WaitingRoomFull


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What pictures must share to be one UNet batch: latent height and width, and tokens of text."""

    latent_height: int
    latent_width: int
    text_length: int


class Schedulable(Protocol):
    """What the scheduler needs to know of a picture."""

    key: BatchKey
    order: tuple[int, int]

    @property
    def rows(self) -> int:
        """UNet rows that a step of it may take."""


T = TypeVar("T", bound=Schedulable)


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """The pictures of one step; all of one key, their rows within the budget."""

    key: BatchKey
    members: tuple[T, ...]


@dataclass(slots=True)
class _Lane(Generic[T]):
    """The pictures of one key: those taking steps, and those waiting in order of (priority, arrival)."""

    running: list[T] = field(default_factory=list)
    waiting: list[T] = field(default_factory=list)


class Scheduler(Generic[T]):
    """Continuous batching (Yu et al., Orca, OSDI 2022) with one UNet evaluation as the iteration.

    Pictures join their key's running set as soon as its rows leave room, first by priority, then by arrival, and leave
    it when they finish. Keys take turns, one step each. Not thread-safe: the engine calls it under its lock.
    """

    def __init__(self, max_rows: int, max_waiting: int) -> None:
        self._max_rows = max_rows
        self._max_waiting = max_waiting
        # The order of the keys is the order of their turns.
        self._lanes: OrderedDict[BatchKey, _Lane[T]] = OrderedDict()
        self._arrivals = 0

    @property
    def waiting(self) -> int:
        """Pictures that have not joined yet."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    @property
    def running(self) -> int:
        """Pictures that take steps."""
        return sum(len(lane.running) for lane in self._lanes.values())

    def add(self, members: list[T], priority: int) -> None:
        """Lets the pictures of one request wait, all or none; raises WaitingRoomFull beyond `max_waiting`."""
        waiting = self.waiting
        if waiting + len(members) > self._max_waiting:
            raise WaitingRoomFull(
                f"{waiting} pictures are waiting and {self._max_waiting} may; try again later or on another server."
            )
        for member in members:
            self._arrivals += 1
            member.order = (priority, self._arrivals)
            lane = self._lanes.setdefault(member.key, _Lane())
            bisect.insort(lane.waiting, member, key=lambda other: other.order)

    def remove(self, member: T) -> None:
        """Takes a picture out, wherever it is; one that is already out is fine."""
        lane = self._lanes.get(member.key)
        if lane is None:
            return
        for group in (lane.running, lane.waiting):
            if member in group:
                group.remove(member)
        if not lane.running and not lane.waiting:
            del self._lanes[member.key]

    def position(self, member: T) -> int | None:
        """A waiting picture's place in its key's order, 1 being next; None where it takes steps or is out."""
        lane = self._lanes.get(member.key)
        return lane.waiting.index(member) + 1 if lane and member in lane.waiting else None

    def next_batch(self) -> Batch[T] | None:
        """The next step's batch, or None where there is nothing to do."""
        if not self._lanes:
            return None
        key, lane = next(iter(self._lanes.items()))
        self._lanes.move_to_end(key)
        rows = sum(member.rows for member in lane.running)
        while lane.waiting and rows + lane.waiting[0].rows <= self._max_rows:
            member = lane.waiting.pop(0)
            lane.running.append(member)
            rows += member.rows
        return Batch(key, tuple(lane.running))

    def __iter__(self) -> Iterator[T]:
        """Every picture, running or waiting."""
        for lane in self._lanes.values():
            yield from lane.running
            yield from lane.waiting
