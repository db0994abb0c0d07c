"""Every sampler's table against the diffusers scheduler that it stands for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusion_engine.samplers import SAMPLERS

from tests.diffusion.diffusers_oracle import (
    CASES,
    CONFIGS,
    PAIRS,
    SEED,
    STEPS,
    TOLERANCE,
    ZERO_SNR,
    by_diffusers,
    by_table,
    relative_error,
    scheduler,
    table_of,
)


@pytest.mark.parametrize(("name", "sampler", "prediction_type", "steps"), CASES)
def test_equals_diffusers(name: str, sampler: str, prediction_type: str, steps: int) -> None:
    # In float64, because float32 loses digits in diffusers' own arithmetic where sigmas are large: an Euler step,
    # x + slope*dt, subtracts values of the size of sigma from each other.
    config = CONFIGS[name] | {"prediction_type": prediction_type}
    expected = by_diffusers(config, sampler, steps, dtype=torch.float64)
    run = by_table(table_of(config, sampler, steps), dtype=np.float64)
    np.testing.assert_array_equal(run.timesteps, expected.timesteps)
    assert run.init_noise_sigma == pytest.approx(expected.init_noise_sigma, rel=1e-6)
    np.testing.assert_allclose(run.next_noise, expected.next_noise, atol=1.2e-6)
    assert relative_error(run, expected) <= TOLERANCE


@pytest.mark.parametrize(("name", "sampler"), PAIRS)
@pytest.mark.parametrize("steps", STEPS)
def test_equals_diffusers_in_float32(name: str, sampler: str, steps: int) -> None:
    expected = by_diffusers(CONFIGS[name], sampler, steps)
    assert relative_error(by_table(table_of(CONFIGS[name], sampler, steps)), expected) <= TOLERANCE


@pytest.mark.parametrize("name", ["zero_snr", "cosine"])
@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - {"heun", "lms", "pndm"}))
@pytest.mark.parametrize("steps", STEPS)
def test_is_exact_at_large_sigmas(name: str, sampler: str, steps: int) -> None:
    table = table_of(CONFIGS[name] | {"prediction_type": "v_prediction"}, sampler, steps)
    assert relative_error(by_table(table), by_table(table, dtype=np.float64)) <= 2e-6


@pytest.mark.parametrize(("name", "sampler"), PAIRS)
def test_every_step_count_has_the_timesteps_of_diffusers(name: str, sampler: str) -> None:
    oracle = scheduler(CONFIGS[name], sampler)
    for steps in range(1, 51):
        oracle.set_timesteps(steps)
        fed = table_of(CONFIGS[name], sampler, steps).timesteps
        np.testing.assert_array_equal(fed, oracle.timesteps.numpy().astype(np.float32))


def test_trailing_spacing_has_as_many_steps_as_asked_for() -> None:
    # diffusers makes 62 of 61 here, the last of them -1, by the rounding of np.arange.
    oracle = scheduler(ZERO_SNR, "ddim")
    oracle.set_timesteps(61)
    assert len(oracle.timesteps) == 62
    np.testing.assert_array_equal(table_of(ZERO_SNR, "ddim", 61).timesteps, oracle.timesteps[:61].numpy())


@pytest.mark.parametrize(("name", "sampler"), PAIRS)
def test_another_sampler_step_count_or_seed_is_far_off(name: str, sampler: str) -> None:
    expected = by_diffusers(CONFIGS[name], sampler, 4)
    table = table_of(CONFIGS[name], sampler, 4)
    assert relative_error(by_table(table, seed=SEED + 1), expected) > 0.5
    assert relative_error(by_table(table_of(CONFIGS[name], sampler, 5)), expected) > 100 * TOLERANCE
    for other in SAMPLERS.keys() - {sampler}:
        assert relative_error(by_table(table_of(CONFIGS[name], other, 4)), expected) > 100 * TOLERANCE
