"""The pace follows what steps take."""

import pytest
from diffusion_engine.pace import Pace
from diffusion_engine.step_cost import StepCost

COST = StepCost.from_curve(64, {1: 1.0, 2: 1.5, 4: 2.0})


@pytest.mark.parametrize(("pixels", "steps"), [(1, 500), (4, 50), (64, 5), (640, 1)])
def test_it_follows_within_seconds_and_no_single_step_bends_it(pixels: int, steps: int) -> None:
    pace = Pace(COST, 1)
    seconds = 3 * COST.step_seconds(1, pixels)
    pace.step(seconds, 1, pixels, one_worker=False)
    assert pace.ratio <= 1.2 + 1e-9
    for _ in range(4 * steps + 40):
        pace.step(seconds, 1, pixels, one_worker=False)
    assert pace.ratio == pytest.approx(3.0, abs=0.05)


def test_two_workers_take_their_steps_in_the_time_of_one_with_the_rows_of_both() -> None:
    pace = Pace(COST, 2)
    for _ in range(200):
        pace.step(1.5, 1, 64, one_worker=True)
        pace.step(2.0, 4, 64, one_worker=False)
    assert pace.ratio == pytest.approx(1.0)
