"""Requests and configs that samplers refuse, and the sentences that say so."""

from __future__ import annotations

import pytest
from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.samplers import SAMPLERS

from tests.diffusion.diffusers_oracle import (
    DEMO,
    TOLERANCE,
    WITHOUT_SAMPLE_PREDICTION,
    WITHOUT_ZERO_SNR,
    ZERO_SNR,
    by_diffusers,
    by_table,
    relative_error,
    table_of,
)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [-1, 0, 1001])
def test_refuses_step_counts_out_of_range(sampler: str, steps: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"between 1 and 1000, got {steps}$"):
        table_of(DEMO, sampler, steps)


def test_refuses_an_unknown_sampler() -> None:
    with pytest.raises(InvalidRequest, match=rf"'heun2'.*{', '.join(SAMPLERS)}$"):
        table_of(DEMO, "heun2", 20)


@pytest.mark.parametrize("strength", [-0.5, 0.0, 1.001, float("nan")])
def test_refuses_a_strength_out_of_range(strength: float) -> None:
    with pytest.raises(InvalidRequest, match="strength must be above 0 and at most 1"):
        table_of(DEMO, "ddim", 20, strength)


@pytest.mark.parametrize(("steps", "least"), [(1, 1.0), (3, 0.34), (20, 0.05)])
def test_refuses_a_strength_that_leaves_no_step(steps: int, least: float) -> None:
    with pytest.raises(InvalidRequest, match=rf"0.01 leaves none of {steps} steps.*at least {least}$"):
        table_of(DEMO, "ddim", steps, 0.01)
    assert table_of(DEMO, "ddim", steps, least).evaluations == 1


@pytest.mark.parametrize("sampler", ["lcm", "tcd"])
def test_refuses_more_steps_than_the_model_was_distilled_with(sampler: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{sampler} takes at most 50 steps with this model, got 51"):
        table_of(DEMO, sampler, 51)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - {"lcm", "tcd"}))
def test_refuses_more_steps_than_the_spacing_has_timesteps(sampler: str) -> None:
    with pytest.raises(InvalidRequest, match="1000 steps are too many for this model with leading"):
        table_of(DEMO, sampler, 1000)


def test_refuses_clipping_where_it_would_act() -> None:
    clipping = DEMO | {"clip_sample": True}
    unnamed = {key: value for key, value in DEMO.items() if key != "clip_sample"}
    for config, sampler in ((clipping, "ddim"), (clipping, "lcm"), (clipping, "heun"), (unnamed, "ddim")):
        with pytest.raises(UnsupportedConfig, match="clip_sample"):
            table_of(config, sampler, 4)
    for config, sampler in ((clipping, "euler"), (clipping, "unipc"), (clipping, "tcd"), (unnamed, "lcm")):
        assert relative_error(by_table(table_of(config, sampler, 4)), by_diffusers(config, sampler, 4)) <= 2 * TOLERANCE


@pytest.mark.parametrize("sampler", WITHOUT_SAMPLE_PREDICTION)
def test_refuses_sample_prediction(sampler: str) -> None:
    with pytest.raises(UnsupportedConfig, match=f"prediction_type is 'sample'.*{sampler}"):
        table_of(DEMO | {"prediction_type": "sample"}, sampler, 4)


@pytest.mark.parametrize("sampler", WITHOUT_ZERO_SNR)
def test_refuses_zero_terminal_snr(sampler: str) -> None:
    with pytest.raises(UnsupportedConfig, match=f"rescale_betas_zero_snr.*{sampler}"):
        table_of(ZERO_SNR, sampler, 4)


@pytest.mark.parametrize("steps", [1, 4])
def test_unipc_refuses_a_second_order_step_to_sigma_zero(steps: int) -> None:
    with pytest.raises(UnsupportedConfig, match="lower_order_final is false and final_sigmas_type is 'zero'"):
        table_of(DEMO | {"lower_order_final": False}, "unipc", steps)
