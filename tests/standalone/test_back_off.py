"""Waits between starts."""

from __future__ import annotations

from standalone.back_off import HEALTHY_SECONDS, LONGEST_SECONDS, BackOff
from tests.clock import Clock


def test_waits_double_up_to_the_longest() -> None:
    back_off = BackOff(Clock())
    waits = [back_off.failed() for _ in range(7)]
    assert waits == [1, 2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS]


def test_a_healthy_while_starts_the_series_again() -> None:
    clock = Clock()
    back_off = BackOff(clock)
    assert [back_off.failed(), back_off.failed()] == [1, 2]
    back_off.healthy()
    clock.now += HEALTHY_SECONDS
    assert back_off.failed() == 1


def test_a_short_recovery_does_not() -> None:
    clock = Clock()
    back_off = BackOff(clock)
    assert [back_off.failed(), back_off.failed()] == [1, 2]
    back_off.healthy()
    clock.now += HEALTHY_SECONDS - 1
    assert back_off.failed() == 4
