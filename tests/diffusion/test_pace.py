"""The pace follows what steps take, what lies between them included, and forgets rests."""

import pytest
from diffusion_engine.pace import Pace


def test_the_time_between_the_steps_of_a_busy_engine_counts() -> None:
    pace = Pace()
    for index in range(1000):
        pace.step(index + 0.25, index + 1.0, measured=0.5)
    assert pace.ratio == pytest.approx(2.0)


def test_a_rest_does_not_count() -> None:
    pace = Pace()
    for index in range(1000):
        pace.step(index + 0.5, index + 1.0, measured=0.5)
        pace.rest()
    assert pace.ratio == pytest.approx(1.0)


@pytest.mark.parametrize(("seconds", "steps"), [(0.01, 500), (0.1, 50), (1.0, 5), (10.0, 1)])
def test_it_follows_within_seconds_and_no_single_step_bends_it(seconds: float, steps: int) -> None:
    pace = Pace()
    pace.step(0.0, seconds, measured=seconds / 3)
    assert pace.ratio <= 1.2 + 1e-9
    for index in range(1, 4 * steps + 40):
        pace.step(index * seconds, (index + 1) * seconds, measured=seconds / 3)
    assert pace.ratio == pytest.approx(3.0, abs=0.05)
