"""Noise schedules against the arrays that diffusers' schedulers hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import diffusers

from diffusion_engine.errors import InvalidRequest
from diffusion_engine.scheduler_config import SchedulerConfig, TimestepSpacing
from diffusion_engine.schedules import (
    Vector,
    alphas_cumprod,
    distilled_timesteps,
    exponential_sigmas,
    final_sigma,
    karras_sigmas,
    sigmas,
    sigmas_to_timesteps,
    spaced_timesteps,
)

BETAS = {
    "linear": {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
    "scaled_linear": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "squaredcos_cap_v2": {"beta_schedule": "squaredcos_cap_v2", "beta_start": 0.0001, "beta_end": 0.02},
    "zero_snr": {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "rescale_betas_zero_snr": True,
        "prediction_type": "v_prediction",
    },
}


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("trained", [1000, 250])
def test_alphas_and_sigmas_equal_diffusers(name: str, trained: int) -> None:
    values = BETAS[name] | {"num_train_timesteps": trained}
    config = SchedulerConfig.from_json(values)
    # Rescaling for zero SNR divides values of float32 precision by each other and multiplies the errors up.
    rtol = 1e-4 if name == "zero_snr" else 1e-6
    ddim, multistep = diffusers.DDIMScheduler(**values), diffusers.DPMSolverMultistepScheduler(**values)
    np.testing.assert_allclose(alphas_cumprod(config), ddim.alphas_cumprod.numpy(), rtol=rtol, atol=0)
    np.testing.assert_allclose(sigmas(config), multistep.sigmas.numpy(), rtol=rtol, atol=0)


def test_zero_snr_ends_in_pure_noise() -> None:
    config = SchedulerConfig.from_json(BETAS["zero_snr"])
    assert alphas_cumprod(config)[-1] == 0
    assert sigmas(config)[-1] == pytest.approx(4096, rel=1e-6)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ("leading", [751, 501, 251, 1]),
        ("linspace", [999, 666, 333, 0]),
        ("trailing", [999, 749, 499, 249]),
    ],
)
def test_spacings(spacing: str, expected: list[int]) -> None:
    named = SchedulerConfig.from_json(BETAS["linear"] | {"timestep_spacing": spacing, "steps_offset": 1})
    unnamed = SchedulerConfig.from_json(BETAS["linear"] | {"steps_offset": 1})
    other = TimestepSpacing.LEADING if spacing != "leading" else TimestepSpacing.TRAILING
    assert spaced_timesteps(named, 4, default=other).tolist() == expected
    assert spaced_timesteps(unnamed, 4, default=TimestepSpacing(spacing)).tolist() == expected


@pytest.mark.parametrize("spacing", TimestepSpacing)
def test_spacing_beyond_the_last(spacing: TimestepSpacing) -> None:
    values = BETAS["linear"] | {"timestep_spacing": spacing.value}
    oracle = diffusers.DPMSolverMultistepScheduler(**values)
    config = SchedulerConfig.from_json(values)
    for steps in (1, 2, 3, 10, 50):
        oracle.set_timesteps(steps)
        spaced = spaced_timesteps(config, steps, default=TimestepSpacing.LEADING, beyond_last=True)
        np.testing.assert_array_equal(np.round(spaced), oracle.timesteps.numpy())


def test_refuses_a_timestep_past_the_last_trained() -> None:
    config = SchedulerConfig.from_json(BETAS["linear"] | {"timestep_spacing": "leading", "steps_offset": 1})
    assert spaced_timesteps(config, 999, default=TimestepSpacing.LEADING)[0] == 999
    with pytest.raises(InvalidRequest, match="1000 steps are too many"):
        spaced_timesteps(config, 1000, default=TimestepSpacing.LEADING)


@pytest.mark.parametrize(("key", "spread"), [("karras", karras_sigmas), ("exponential", exponential_sigmas)])
def test_spread_sigmas_equal_diffusers(key: str, spread: Callable[[float, float, int], Vector]) -> None:
    values = BETAS["scaled_linear"]
    trained = sigmas(SchedulerConfig.from_json(values))
    oracle = diffusers.EulerDiscreteScheduler(timestep_spacing="trailing", **{f"use_{key}_sigmas": True}, **values)
    for steps in (2, 10, 50):
        oracle.set_timesteps(steps)
        levels = oracle.sigmas.numpy()
        made = spread(float(levels[-2]), float(levels[0]), steps)
        np.testing.assert_allclose(made, levels[:-1], rtol=1e-6)
        np.testing.assert_allclose(sigmas_to_timesteps(made, trained), oracle.timesteps.numpy(), atol=1e-3)


def test_rounding_does_not_take_the_last_sigma_to_another_timestep() -> None:
    trained = sigmas(SchedulerConfig.from_json(BETAS["scaled_linear"]))
    assert sigmas_to_timesteps(trained[-1:] * (1 - 1e-15), trained).tolist() == [999]


@pytest.mark.parametrize("kind", ["LCMScheduler", "TCDScheduler"])
def test_distilled_timesteps_equal_diffusers(kind: str) -> None:
    values = BETAS["scaled_linear"] | {"original_inference_steps": 30}
    oracle = getattr(diffusers, kind)(**values)
    for steps in range(1, 31):
        oracle.set_timesteps(steps)
        made = distilled_timesteps(SchedulerConfig.from_json(values), steps, "any")
        np.testing.assert_array_equal(made, oracle.timesteps.numpy())


def test_final_sigma() -> None:
    zero = SchedulerConfig.from_json(BETAS["linear"])
    least = SchedulerConfig.from_json(BETAS["linear"] | {"final_sigmas_type": "sigma_min"})
    assert final_sigma(zero) == 0
    assert final_sigma(least) == sigmas(least)[0] > 0
