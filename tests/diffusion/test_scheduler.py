"""The scheduler of requests: order, budget, turns, bounds."""

from dataclasses import dataclass

import pytest
from diffusion_engine.errors import WaitingRoomFull
from diffusion_engine.scheduler import BatchKey, Scheduler

SMALL = BatchKey(16, 16, 48)
LARGE = BatchKey(32, 32, 48)


@dataclass(slots=True, eq=False)
class Member:
    name: str
    rows: int = 2
    key: BatchKey = SMALL
    order: tuple[int, int] = (0, 0)


def names(scheduler: Scheduler[Member]) -> list[str]:
    batch = scheduler.next_batch()
    return [member.name for member in batch.members] if batch else []


def scheduler_of(*members: Member, max_rows: int = 8, priority: int = 2) -> Scheduler[Member]:
    scheduler: Scheduler[Member] = Scheduler(max_rows=max_rows, max_waiting=8)
    for member in members:
        scheduler.add([member], priority)
    return scheduler


def test_nothing_to_do() -> None:
    assert scheduler_of().next_batch() is None


def test_rows_not_pictures_are_the_budget() -> None:
    scheduler = scheduler_of(Member("a", 2), Member("b", 1), Member("c", 1), Member("d", 1), max_rows=4)
    assert names(scheduler) == ["a", "b", "c"]
    assert (scheduler.running, scheduler.waiting) == (3, 1)


def test_a_picture_joins_as_soon_as_rows_are_free() -> None:
    first = Member("a")
    scheduler = scheduler_of(first, Member("b"), Member("c"), max_rows=4)
    assert names(scheduler) == ["a", "b"]
    scheduler.remove(first)
    assert names(scheduler) == ["b", "c"]


def test_priority_goes_before_arrival_but_never_interrupts() -> None:
    scheduler = scheduler_of(Member("running"), max_rows=2)
    assert names(scheduler) == ["running"]
    late, urgent = Member("late"), Member("urgent")
    scheduler.add([late], 2)
    scheduler.add([urgent], 1)
    assert (scheduler.position(urgent), scheduler.position(late)) == (1, 2)
    assert names(scheduler) == ["running"]


def test_keys_take_turns() -> None:
    scheduler = scheduler_of(Member("s"), Member("l", key=LARGE), Member("t"))
    assert [names(scheduler) for _ in range(4)] == [["s", "t"], ["l"], ["s", "t"], ["l"]]


def test_the_waiting_room_is_bounded_and_a_request_is_taken_whole_or_not() -> None:
    scheduler = scheduler_of(*(Member(str(index)) for index in range(7)))
    with pytest.raises(WaitingRoomFull, match="7 pictures are waiting and 8 may"):
        scheduler.add([Member("x"), Member("y")], 2)
    assert scheduler.waiting == 7
    scheduler.add([Member("z")], 2)
    assert scheduler.waiting == 8


def test_removing_leaves_nothing_behind() -> None:
    members = [Member("a"), Member("b", key=LARGE), Member("c")]
    scheduler = scheduler_of(*members, max_rows=2)
    scheduler.next_batch()
    for member in [*members, *members]:
        scheduler.remove(member)
    assert (scheduler.running, scheduler.waiting) == (0, 0)
    assert scheduler.next_batch() is None
    assert scheduler.position(members[0]) is None
