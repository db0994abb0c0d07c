"""Cancels that come before their requests are bounded in time and number."""

from diffusion_engine.early_cancels import EarlyCancels


def test_a_cancel_works_once_and_for_a_minute() -> None:
    cancels = EarlyCancels()
    cancels.add("a", now=0.0)
    cancels.add("b", now=50.0)
    assert cancels.take("a", now=59.0)
    assert not cancels.take("a", now=59.0)
    assert not cancels.take("b", now=111.0)


def test_they_are_bounded_in_number() -> None:
    cancels = EarlyCancels()
    for index in range(5000):
        cancels.add(str(index), now=0.0)
    assert not cancels.take("0", now=0.0)
    assert cancels.take("4999", now=0.0)
