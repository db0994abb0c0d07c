"""What an engine refused is refused without asking it again, for as long as it would say the same."""

from dataclasses import replace

import pytest

from bridge.errors import Overloaded, TooLate, WaitingRoomFull
from bridge.generation import Generation
from bridge.limits.backlog import Backlog
from bridge.validation import validate
from protos import starweave_pb2
from tests.bridge.families import family
from tests.clock import Clock

FOX: Generation = validate(starweave_pb2.ImageRequest(prompt="a fox"), family())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backlog(clock: Clock) -> Backlog:
    return Backlog(clock)


def test_what_was_refused_is_refused_until_the_work_before_it_may_be_done(backlog: Backlog, clock: Clock) -> None:
    backlog.check(FOX, 0.1)
    backlog.refused(FOX, TooLate("", 10.4))
    clock.now += 0.2
    with pytest.raises(TooLate, match=r"may take up to 10\.7 s, waiting included, and has 10\.0 s"):
        backlog.check(FOX, 10.0)
    # Not just at the limit, where the engine is likely to refuse it too.
    with pytest.raises(TooLate):
        backlog.check(FOX, 10.3)
    backlog.check(FOX, 10.8)
    clock.now += 0.7
    backlog.check(FOX, 10.0)


def test_a_refusal_is_not_believed_for_long(backlog: Backlog, clock: Clock) -> None:
    backlog.refused(FOX, TooLate("", 100.0))
    clock.now += 1.0
    backlog.check(FOX, 10.0)


def test_a_picture_that_is_given_up_takes_its_work_along(backlog: Backlog) -> None:
    backlog.refused(FOX, TooLate("", 100.0))
    backlog.refused(FOX, WaitingRoomFull("256 pictures are waiting."))
    backlog.given_up()
    backlog.check(FOX, 10.0)


@pytest.mark.parametrize("other", [{"priority": 1}, {"steps": 3}, {"sampler": "another"}, {"guidance_scale": 1.0}])
def test_the_engine_is_asked_about_other_pictures(backlog: Backlog, other: dict[str, object]) -> None:
    backlog.refused(FOX, TooLate("", 100.0))
    backlog.check(replace(FOX, **other), 10.0)
    with pytest.raises(TooLate):
        backlog.check(replace(FOX, seed=FOX.seed + 1, prompt="a hen"), 10.0)


def test_a_full_waiting_room_is_full_for_all_until_a_picture_is_finished(backlog: Backlog, clock: Clock) -> None:
    backlog.refused(FOX, WaitingRoomFull("256 pictures are waiting."))
    with pytest.raises(Overloaded, match="256 pictures are waiting"):
        backlog.check(replace(FOX, priority=1), 10.0)
    backlog.finished(0.1)
    backlog.check(FOX, 10.0)
    backlog.refused(FOX, WaitingRoomFull("256 pictures are waiting."))
    clock.now += 1.0
    backlog.check(FOX, 10.0)


def test_what_is_not_denoising_has_its_time(backlog: Backlog) -> None:
    assert backlog.beside == 0
    for _ in range(100):
        backlog.finished(0.2)
    assert backlog.beside == pytest.approx(0.2, abs=1e-3)
    for index in range(100):
        backlog.finished(0.1 if index % 2 else 0.3)
    assert backlog.beside > 0.3
    backlog.refused(FOX, TooLate("", 10.0))
    backlog.check(FOX, 11.2)
    with pytest.raises(TooLate):
        backlog.check(FOX, 10.7)
