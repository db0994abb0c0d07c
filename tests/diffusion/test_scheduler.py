"""The scheduler of requests: order, budget, turns, ageing, bounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from diffusion_engine.errors import WaitingRoomFull
from diffusion_engine.lane import BatchKey
from diffusion_engine.scheduler import Batch, Scheduler
from diffusion_engine.step_cost import StepCost

SMALL = BatchKey(16, 16, 48)
LARGE = BatchKey(32, 32, 48)
# One row of a small picture is one second, however many are taken together.
FLAT = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0}


@dataclass(slots=True, eq=False)
class Member:
    name: str
    evaluations_left: int = 10
    rows: int = 2
    key: BatchKey = SMALL
    priority: int = 2
    arrival: float = 0.0


def scheduler_of(*members: Member, max_rows: int = 8, max_waiting: int = 8, workers: int = 1) -> Scheduler[Member]:
    cost = StepCost.from_curve(SMALL.pixels, FLAT, max_rows)
    scheduler: Scheduler[Member] = Scheduler(cost, max_waiting, workers)
    for member in members:
        scheduler.add([member])
    return scheduler


def step(scheduler: Scheduler[Member], now: float = 0.0) -> list[str]:
    """Takes one step; who is finished leaves."""
    batch = scheduler.next_batch(now)
    if batch is None:
        return []
    for member in batch.members:
        member.evaluations_left -= 1
        if member.evaluations_left == 0:
            scheduler.remove(member)
    scheduler.done(batch)
    return [member.name for member in batch.members]


def test_nothing_to_do() -> None:
    assert scheduler_of().next_batch(0.0) is None


def test_rows_not_pictures_are_the_budget() -> None:
    scheduler = scheduler_of(Member("a"), Member("b", rows=1), Member("c", rows=1), Member("d", rows=1), max_rows=4)
    assert set(step(scheduler)) == {"b", "c", "d"}
    scheduler = scheduler_of(Member("a"), Member("b"), Member("c"), max_rows=4)
    assert step(scheduler) == ["a", "b"]
    assert (scheduler.running, scheduler.waiting) == (2, 1)


def test_a_row_that_is_left_over_goes_to_a_picture_that_fits() -> None:
    scheduler = scheduler_of(Member("a", 1), Member("b", 1, rows=1), Member("c", 2), Member("d", 9, rows=1), max_rows=4)
    assert set(step(scheduler)) == {"a", "b", "d"}


def test_a_picture_joins_as_soon_as_rows_are_free() -> None:
    first = Member("a")
    scheduler = scheduler_of(first, Member("b"), Member("c"), max_rows=4)
    assert step(scheduler) == ["a", "b"]
    scheduler.remove(first)
    assert step(scheduler) == ["b", "c"]


def test_the_least_work_goes_first_also_before_what_runs() -> None:
    scheduler = scheduler_of(Member("long", 50), Member("longer", 60), max_rows=4)
    assert step(scheduler) == ["long", "longer"]
    scheduler.add([Member("short", 4), Member("shorter", 2)])
    assert step(scheduler) == ["shorter", "short"]
    assert (scheduler.running, scheduler.waiting) == (4, 0)


def test_priority_goes_before_work() -> None:
    scheduler = scheduler_of(Member("short", 1), Member("late", 9, priority=3), max_rows=4)
    scheduler.add([Member("urgent", 40, priority=1)])
    assert step(scheduler) == ["urgent", "short"]


def test_who_waits_goes_before_shorter_pictures_that_came_much_later() -> None:
    patient = Member("patient", 20)
    scheduler = scheduler_of(patient, max_rows=4)
    late, later = Member("late", 10, arrival=100.0), Member("later", 10, arrival=300.0)
    scheduler.add([late, later])
    assert step(scheduler, now=300.0) == ["late", "patient"]


def test_nobody_starves_behind_a_better_priority() -> None:
    scheduler = scheduler_of(Member("patient", 2, priority=3), max_rows=4)
    served_at = None
    for now in range(2000):
        scheduler.add([Member("a", 1, priority=1, arrival=now), Member("b", 1, priority=1, arrival=now)])
        if "patient" in step(scheduler, now=float(now)):
            served_at = now
            break
    assert served_at is not None and served_at > 20


def test_time_not_turns_is_shared_between_sizes() -> None:
    scheduler = scheduler_of(Member("small", 10_000), Member("large", 10_000, key=LARGE, priority=2), max_rows=4)
    steps = Counter(step(scheduler)[0] for _ in range(500))
    # A large row has four times the pixels.
    assert 3.5 <= steps["small"] / steps["large"] <= 4.5


def test_a_size_whose_pictures_are_all_of_a_worse_priority_waits() -> None:
    scheduler = scheduler_of(Member("urgent", 3, priority=1), Member("large", 3, key=LARGE), max_rows=4)
    assert [step(scheduler) for _ in range(4)] == [["urgent"], ["urgent"], ["urgent"], ["large"]]


def test_the_budget_follows_the_pixels() -> None:
    members = [Member(str(index), key=LARGE, rows=1) for index in range(8)]
    assert len(step(scheduler_of(*members, max_rows=16))) == 4
    assert len(step(scheduler_of(*members, max_rows=32))) == 8


def test_the_waiting_room_is_bounded_and_a_request_is_taken_whole_or_not() -> None:
    scheduler = scheduler_of(*(Member(str(index)) for index in range(7)))
    with pytest.raises(WaitingRoomFull, match="7 pictures are waiting and 8 may; the expected wait is 140 s"):
        scheduler.add([Member("x"), Member("y")])
    assert scheduler.waiting == 7
    scheduler.add([Member("z")])
    assert scheduler.waiting == 8


def test_places_follow_the_order() -> None:
    members = [Member("long", 30), Member("short", 3), Member("urgent", 90, priority=1)]
    scheduler = scheduler_of(*members)
    assert [scheduler.position(member) for member in members] == [3, 2, 1]


def test_removing_leaves_nothing_behind() -> None:
    members = [Member("a"), Member("b", key=LARGE), Member("c")]
    scheduler = scheduler_of(*members, max_rows=2)
    scheduler.next_batch(0.0)
    for member in [*members, *members]:
        scheduler.remove(member)
    assert (scheduler.running, scheduler.waiting) == (0, 0)
    assert scheduler.next_batch(0.0) is None
    assert scheduler.position(members[0]) is None


def test_the_expected_time_is_what_it_takes() -> None:
    scheduler = scheduler_of(Member("a", 10), Member("b", 20), Member("other", 5, key=LARGE), max_rows=4)
    new = Member("new", 15)
    # `a` before it (20 s), its own work (30 s), half of what `a` may take of its batches (20 s), and all of the other
    # key's work (5 * 2 * 4 s), whose turns come as often.
    assert scheduler.expected_seconds([new]) == pytest.approx(20 + 30 + 20 / 2 + 40)
    scheduler.add([new])
    clock = 0.0
    while new.evaluations_left:
        batch = scheduler.next_batch(clock)
        assert batch is not None
        clock += sum(member.rows for member in batch.members) * batch.key.pixels / SMALL.pixels
        for member in batch.members:
            member.evaluations_left -= 1
            if not member.evaluations_left:
                scheduler.remove(member)
        scheduler.done(batch)
    # Some of `b` is made along with it, where a row is left over.
    assert 80 <= clock <= 105


def begin(scheduler: Scheduler[Member]) -> Batch[Member]:
    assert scheduler.ready
    batch = scheduler.next_batch(0.0)
    assert batch is not None
    return batch


def names(batch: Batch[Member]) -> list[str]:
    return [member.name for member in batch.members]


def test_a_picture_is_in_one_step_at_a_time() -> None:
    scheduler = scheduler_of(Member("a"))
    batch = begin(scheduler)
    assert not scheduler.ready and scheduler.next_batch(0.0) is None
    scheduler.done(batch)
    assert names(begin(scheduler)) == ["a"]


@pytest.mark.parametrize(
    ("pictures", "batches"),
    [("a", [["a"]]), ("ab", [["a"], ["b"]]), ("abc", [["a", "b"], ["c"]]), ("abcdef", [["a", "b"], ["c", "d"]])],
)
def test_workers_share_what_there_is_and_are_all_needed_for_fewer_pictures(
    pictures: str, batches: list[list[str]]
) -> None:
    scheduler = scheduler_of(*(Member(name) for name in pictures), workers=2)
    taken = []
    while len(taken) < 2 and scheduler.ready:
        taken.append(begin(scheduler))
    assert [names(batch) for batch in taken] == batches
    assert all(batch.one_worker is (len(pictures) > 1) for batch in taken)
    for batch in reversed(taken):
        scheduler.done(batch)
        # A worker goes on with the pictures that it had.
        assert names(begin(scheduler)) == names(batch)


def test_a_step_of_all_workers_waits_for_those_of_one() -> None:
    members = [Member("a"), Member("b"), Member("c")]
    scheduler = scheduler_of(*members, workers=3)
    a, b, c = begin(scheduler), begin(scheduler), begin(scheduler)
    assert a.one_worker and b.one_worker and c.one_worker
    scheduler.remove(members[0])
    scheduler.done(a)
    assert not scheduler.ready
    scheduler.done(b)
    assert not scheduler.ready
    scheduler.done(c)
    together = begin(scheduler)
    assert names(together) == ["b", "c"] and not together.one_worker
    assert not scheduler.ready


def test_sizes_are_stepped_side_by_side() -> None:
    scheduler = scheduler_of(Member("small"), Member("large", key=LARGE), workers=2)
    assert {*names(begin(scheduler)), *names(begin(scheduler))} == {"small", "large"}


def test_a_picture_that_left_during_its_step_is_gone() -> None:
    members = [Member("a"), Member("b"), Member("c")]
    scheduler = scheduler_of(*members, workers=2)
    batch = begin(scheduler)
    assert names(batch) == ["a", "b"]
    scheduler.remove(members[0])
    scheduler.done(batch)
    assert names(begin(scheduler)) == ["b"]
