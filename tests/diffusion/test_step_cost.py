"""The cost curve and the budget it gives."""

import pytest
from diffusion_engine.step_cost import StepCost

# Milliseconds a row at 2, 4, 8 and 16 rows, as a small UNet on two cores shows them.
CURVE = {2: 2 * 5.2, 4: 4 * 4.6, 8: 8 * 4.0, 16: 16 * 3.7}


def test_the_budget_is_the_fewest_rows_that_are_worth_it() -> None:
    assert StepCost.from_curve(256, CURVE).budget == 8
    assert StepCost.from_curve(256, {rows: rows * 1.0 for rows in (1, 2, 4, 8)}).budget == 4
    assert StepCost.from_curve(256, {rows: 1.0 for rows in (1, 2, 4, 8)}).budget == 8


def test_max_rows_overrides() -> None:
    assert StepCost.from_curve(256, CURVE, max_rows=16).budget == 16


def test_the_budget_follows_the_pixels_down_to_two_guided_pictures() -> None:
    cost = StepCost.from_curve(256, CURVE, max_rows=16)
    assert [cost.budget_at(pixels) for pixels in (64, 256, 512, 1024, 4096)] == [64, 16, 8, 4, 4]


@pytest.mark.parametrize(("rows", "milliseconds"), [(1, 5.2), (2, 10.4), (3, 14.4), (16, 59.2), (32, 118.4)])
def test_a_step_costs_what_the_curve_says(rows: int, milliseconds: float) -> None:
    assert StepCost.from_curve(256, CURVE).step_seconds(rows, 256) == pytest.approx(milliseconds)


def test_a_large_row_costs_what_as_many_pixels_in_native_rows_cost() -> None:
    cost = StepCost.from_curve(256, CURVE)
    assert cost.step_seconds(2, 1024) == pytest.approx(cost.step_seconds(8, 256))
    assert cost.step_seconds(4, 64) == pytest.approx(cost.step_seconds(1, 256))
