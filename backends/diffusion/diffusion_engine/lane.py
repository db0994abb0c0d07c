"""The pictures that may share a UNet batch, in the order in which they take steps."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Generic, Protocol, TypeVar

from diffusion_engine.step_cost import StepCost

# A second of waiting weighs as much as this many seconds of work left: a picture ten times another's work goes first
# once it has waited for ten times its own work longer.
_AGEING = 0.1
# A picture moves up one priority whenever it has waited for this many times its own work.
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What pictures must share to be one UNet batch: latent height and width, and tokens of text."""

    latent_height: int
    latent_width: int
    text_length: int

    @property
    def pixels(self) -> int:
        """Latent pixels of one row."""
        return self.latent_height * self.latent_width


class Schedulable(Protocol):
    """What the scheduler needs to know of a picture; `arrival` is in seconds on the engine's clock."""

    key: BatchKey
    arrival: float

    @property
    def priority(self) -> int:
        """1 (first) to 3."""

    @property
    def rows(self) -> int:
        """UNet rows that a step of it may take."""

    @property
    def evaluations_left(self) -> int:
        """UNet evaluations until it is finished."""


T = TypeVar("T", bound=Schedulable)

_sequence = count()


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    """A picture with its place in the order."""

    priority_class: int
    score: float
    number: int
    member: T
    patience: float
    started: bool = False
    stepping: bool = False


def _order(entry: _Entry[T]) -> tuple[int, float, int]:
    return entry.priority_class, entry.score, entry.number


class Lane(Generic[T]):
    """All pictures of one batch key.

    A picture's score is its work left plus a tenth of its arrival time: the least work goes first, and who has waited
    long goes before who came late. For a waiting picture it never changes; a running one's falls with every step.
    """

    def __init__(self, key: BatchKey, cost: StepCost) -> None:
        self.key = key
        self.deficit = 0.0
        self._cost = cost
        self._row_seconds = cost.row_seconds(key.pixels)
        self._budget = cost.budget_at(key.pixels)
        self._waiting: list[_Entry[T]] = []
        self._started: list[_Entry[T]] = []

    @property
    def empty(self) -> bool:
        """Whether no picture is left."""
        return not self._waiting and not self._started

    @property
    def waiting(self) -> int:
        """Pictures that have not taken a step yet."""
        return len(self._waiting)

    @property
    def started(self) -> int:
        """Pictures that have."""
        return len(self._started)

    @property
    def work(self) -> float:
        """Seconds of work left, at full batches."""
        return sum(self.work_of(entry.member) for entry in (*self._waiting, *self._started))

    @property
    def best_class(self) -> int:
        """The best priority class of a picture that is in no step."""
        classes = [entry.priority_class for entry in self._started if not entry.stepping]
        classes += [entry.priority_class for entry in self._waiting[:1]]
        return min(classes)

    @property
    def pixels(self) -> int:
        """Latent pixels of all its pictures' rows."""
        return self.key.pixels * sum(entry.member.rows for entry in (*self._started, *self._waiting))

    @property
    def ready(self) -> bool:
        """Whether a picture of it is in no step."""
        return bool(self._waiting) or not all(entry.stepping for entry in self._started)

    @property
    def step_seconds(self) -> float:
        """What its next step will take with the machine to itself."""
        rows = 0
        for entry in (*self._started, *self._waiting):
            rows += 0 if entry.stepping else entry.member.rows
            if rows >= self._budget:
                break
        return self._cost.step_seconds(min(rows, self._budget), self.key.pixels)

    def work_of(self, member: T) -> float:
        """Seconds of work a picture has left, at full batches."""
        return member.evaluations_left * member.rows * self._row_seconds

    def seconds_alone(self, member: T) -> float:
        """Seconds a picture would still take with the machine to itself."""
        return member.evaluations_left * self._cost.step_seconds(member.rows, self.key.pixels)

    def seconds_in_full_batches(self, member: T) -> float:
        """Seconds that a picture's steps would still take if each were one of a full batch."""
        return member.evaluations_left * self._budget * self._row_seconds

    def work_before(self, member: T) -> float:
        """Seconds of work that would go before a picture not added yet."""
        place = _order(self._entry(member))
        return sum(self.work_of(entry.member) for entry in (*self._waiting, *self._started) if _order(entry) < place)

    def add(self, member: T) -> None:
        """Lets a picture wait."""
        bisect.insort(self._waiting, self._entry(member), key=_order)

    def remove(self, member: T) -> None:
        """Takes a picture out; one that is not in is fine."""
        for entries in (self._started, self._waiting):
            for index, entry in enumerate(entries):
                if entry.member is member:
                    del entries[index]
                    return

    def position(self, member: T) -> int | None:
        """A waiting picture's place, 1 being next; None where it does not wait here."""
        return next((place for place, entry in enumerate(self._waiting, start=1) if entry.member is member), None)

    def promote(self, now: float) -> None:
        """Moves pictures up one class for every `_PATIENCE` times their own work that they have waited."""
        moved = False
        for entry in (*self._waiting, *self._started):
            while entry.priority_class > 1 and now - entry.member.arrival > entry.patience:
                entry.priority_class -= 1
                entry.patience *= 2
                moved = True
        if moved:
            self._waiting.sort(key=_order)

    def take(self, workers: int, enough_pixels: float) -> tuple[T, ...]:
        """The pictures of the next step of one of some workers; they are in it until they are given back.

        At least one, and within that worker's share of the budget; none is added once they have `enough_pixels`.
        """
        budget = self._budget // workers
        for entry in self._started:
            entry.score = self._score(entry.member)
        # No more of the waiting can fit than the budget has rows.
        candidates = sorted((*self._started, *self._waiting[: self._budget]), key=_order)
        candidates = [entry for entry in candidates if not entry.stepping]
        taken: list[_Entry[T]] = []
        rows = 0
        for entry in candidates:
            enough = rows + entry.member.rows > budget or rows * self.key.pixels >= enough_pixels
            if not taken or not enough:
                rows += entry.member.rows
                taken.append(entry)
        for entry in taken:
            entry.stepping = True
            if not entry.started:
                entry.started = True
                self._waiting.remove(entry)
                self._started.append(entry)
        return tuple(entry.member for entry in taken)

    def give_back(self, members: Iterable[T]) -> None:
        """The step of some pictures is done; those that are not in any more are fine."""
        done = {id(member) for member in members}
        for entry in self._started:
            if id(entry.member) in done:
                entry.stepping = False

    def _score(self, member: T) -> float:
        return self.work_of(member) + _AGEING * member.arrival

    def _entry(self, member: T) -> _Entry[T]:
        patience = _PATIENCE * self.work_of(member)
        return _Entry(member.priority, self._score(member), next(_sequence), member, patience)
