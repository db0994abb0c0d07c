"""Every sampler's table against the diffusers scheduler that it stands for."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import diffusers

from diffusion_engine.coefficients import CoefficientTable
from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.noise import NoiseStream
from diffusion_engine.samplers import SAMPLERS, build
from diffusion_engine.scheduler_config import SchedulerConfig

diffusers.utils.logging.set_verbosity_error()

SHAPE = (1, 4, 8, 8)
SEED = 1234
TOLERANCE = 1e-5

Array = npt.NDArray[np.floating[Any]]

# The demo's, as diffusers 0.39 saves it.
DEMO = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.39.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "clip_sample_range": 1.0,
    "dynamic_thresholding_ratio": 0.995,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "set_alpha_to_one": False,
    "steps_offset": 1,
    "thresholding": False,
    "timestep_spacing": "leading",
    "trained_betas": None,
}
# Stable Diffusion 2.1's: older, without a timestep spacing, so that diffusers' classes use their own.
SD21 = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.8.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}
# As in models trained to zero terminal signal-to-noise ratio.
ZERO_SNR = SD21 | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "set_alpha_to_one": True}
# Values that no known checkpoint combines, to reach the remaining branches. They end their last steps in three ways.
ZERO_SNR |= {"final_sigmas_type": "sigma_min", "lower_order_final": False}
UNUSUAL = {
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": False,
    "euler_at_final": True,
    "final_sigmas_type": "sigma_min",
    "lower_order_final": False,
    "num_train_timesteps": 800,
    "original_inference_steps": 100,
    "steps_offset": 0,
    "timestep_scaling": 1.0,
    "timestep_spacing": "linspace",
}
COSINE = UNUSUAL | {"beta_schedule": "squaredcos_cap_v2", "euler_at_final": False, "lower_order_final": True}
CONFIGS = {"demo": DEMO, "sd21": SD21, "zero_snr": ZERO_SNR, "unusual": UNUSUAL, "cosine": COSINE}
PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
STEPS = (1, 2, 4, 7, 20, 50)


def defined(config: Mapping[str, object], sampler: str, prediction_type: str) -> bool:
    if config.get("rescale_betas_zero_snr") and prediction_type == "epsilon":
        return False
    return not (sampler == "euler_a" and prediction_type == "sample")


CASES = [
    pytest.param(name, sampler, prediction_type, steps, id=f"{name}-{sampler}-{prediction_type}-{steps}")
    for name, sampler, prediction_type, steps in itertools.product(CONFIGS, SAMPLERS, PREDICTION_TYPES, STEPS)
    if defined(CONFIGS[name], sampler, prediction_type)
]


def scheduler(config: Mapping[str, object], sampler: str) -> Any:
    """The diffusers scheduler that `sampler` stands for, from a pipeline's scheduler as diffusers would load it."""
    entry = SAMPLERS[sampler]
    loaded = getattr(diffusers, config.get("_class_name", entry.diffusers_class)).from_config(config)
    return getattr(diffusers, entry.diffusers_class).from_config(loaded.config, **entry.overrides)


# The two stand for a UNet: nonlinear, different at every timestep, and no pixel on its own.
def unet_in_torch(x: torch.Tensor, t: float) -> torch.Tensor:
    return torch.tanh(0.7 * x) * (0.5 + t / 2000) + 0.3 * np.cos(t / 300) * torch.roll(x, 1, -1) / (1 + x**2)


def unet_in_numpy(x: Array, t: float) -> Array:
    return np.tanh(0.7 * x) * (0.5 + t / 2000) + 0.3 * np.cos(t / 300) * np.roll(x, 1, -1) / (1 + x**2)


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: what the UNet was fed, where it began and ended, and the noise that would have been drawn next."""

    timesteps: npt.NDArray[np.float32]
    init_noise_sigma: float
    latents: Array
    next_noise: Array


def by_diffusers(config: Mapping[str, object], sampler: str, steps: int) -> Run:
    """The loop of diffusers' pipelines."""
    oracle = scheduler(config, sampler)
    generator = torch.Generator("cpu").manual_seed(SEED)
    oracle.set_timesteps(steps)
    # Without this, diffusers starts at the second step, and runs off the end, where rounding makes the first two
    # timesteps equal (Karras sigmas and many steps).
    if sampler != "ddim":
        oracle.set_begin_index(0)
    sigma = float(oracle.init_noise_sigma)
    x = torch.randn(SHAPE, generator=generator) * oracle.init_noise_sigma
    for t in oracle.timesteps:
        m = unet_in_torch(oracle.scale_model_input(x, t), float(t))
        x = oracle.step(m, t, x, generator=generator).prev_sample
    timesteps = oracle.timesteps.numpy().astype(np.float32)
    return Run(timesteps, sigma, x.numpy(), torch.randn(16, generator=generator).numpy())


def by_table(table: CoefficientTable, *, seed: int = SEED, dtype: type[np.floating[Any]] = np.float32) -> Run:
    """The table's arithmetic for one picture, in float32 throughout as in the engine unless told otherwise."""
    noise = NoiseStream(seed)
    x = noise.normal(SHAPE).astype(dtype) * dtype(table.init_noise_sigma)
    saved = np.zeros_like(x)
    past: list[Array] = []
    for i, t in enumerate(table.timesteps):
        rows = (table.c_in, table.P, table.Q, table.U, table.V, table.A, table.S, table.N)
        c_in, P, Q, U, V, A, S, N = (dtype(row[i]) for row in rows)
        W, B = table.W[i].astype(dtype), table.B[i].astype(dtype)
        d = [P * x + Q * unet_in_numpy(c_in * x, float(t)), *past]
        following = A * x + S * saved + sum(b * dk for b, dk in zip(B, d, strict=False))
        saved = U * x + V * saved + sum(w * dk for w, dk in zip(W, d, strict=False))
        if table.draws_noise[i]:
            following += N * noise.normal(SHAPE)
        x = following
        if table.push[i]:
            past = d[:3]
    assert x.dtype == dtype
    return Run(table.timesteps, table.init_noise_sigma, x, noise.normal((16,)))


def relative_error(run: Run, expected: Run) -> float:
    return float(np.linalg.norm(run.latents - expected.latents) / np.linalg.norm(expected.latents))


def table_of(config: Mapping[str, object], sampler: str, steps: int) -> CoefficientTable:
    return build(SchedulerConfig.from_json(config), sampler, steps)


@pytest.mark.parametrize(("name", "sampler", "prediction_type", "steps"), CASES)
def test_equals_diffusers(name: str, sampler: str, prediction_type: str, steps: int) -> None:
    config = CONFIGS[name] | {"prediction_type": prediction_type}
    expected = by_diffusers(config, sampler, steps)
    run = by_table(table_of(config, sampler, steps))
    np.testing.assert_array_equal(run.timesteps, expected.timesteps)
    assert run.init_noise_sigma == pytest.approx(expected.init_noise_sigma, rel=1e-6)
    np.testing.assert_allclose(run.next_noise, expected.next_noise, atol=1.2e-6)
    # An Euler step of diffusers, x + slope*dt, subtracts values of the size of sigma from each other, and float32
    # leaves 6e-8*sigma of that. It shows at the sigmas of thousands that zero terminal SNR and the cosine schedule
    # begin with; see test_is_exact_at_large_sigmas.
    tolerance = TOLERANCE + 2e-7 * run.init_noise_sigma
    assert relative_error(run, expected) <= tolerance


@pytest.mark.parametrize("name", ["zero_snr", "cosine"])
@pytest.mark.parametrize("sampler", ["euler", "euler_a"])
@pytest.mark.parametrize("steps", STEPS)
def test_is_exact_at_large_sigmas(name: str, sampler: str, steps: int) -> None:
    table = table_of(CONFIGS[name] | {"prediction_type": "v_prediction"}, sampler, steps)
    assert relative_error(by_table(table), by_table(table, dtype=np.float64)) <= 1e-6


@pytest.mark.parametrize("name", ["demo", "sd21"])
@pytest.mark.parametrize("sampler", SAMPLERS)
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


@pytest.mark.parametrize("name", ["demo", "sd21"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_sampler_step_count_or_seed_is_far_off(name: str, sampler: str) -> None:
    expected = by_diffusers(CONFIGS[name], sampler, 4)
    table = table_of(CONFIGS[name], sampler, 4)
    assert relative_error(by_table(table, seed=SEED + 1), expected) > 0.5
    assert relative_error(by_table(table_of(CONFIGS[name], sampler, 5)), expected) > 100 * TOLERANCE
    for other in SAMPLERS.keys() - {sampler}:
        assert relative_error(by_table(table_of(CONFIGS[name], other, 4)), expected) > 100 * TOLERANCE


@pytest.mark.parametrize(("name", "sampler", "prediction_type", "steps"), CASES)
def test_table_is_well_formed(name: str, sampler: str, prediction_type: str, steps: int) -> None:
    table = table_of(CONFIGS[name] | {"prediction_type": prediction_type}, sampler, steps)
    assert table.evaluations == steps
    vectors = (table.c_in, table.P, table.Q, table.U, table.V, table.A, table.S, table.N, table.X, table.Y)
    for values in vectors:
        assert values.shape == (steps,) and values.dtype == np.float64
    for values in (table.W, table.B):
        assert values.shape == (steps, 4) and values.dtype == np.float64
    for values in (*vectors, table.W, table.B, table.timesteps):
        assert np.isfinite(values).all()
    for values in (*vectors, table.W, table.B, table.timesteps, table.push, table.draws_noise):
        assert not values.flags.writeable
    assert not table.N[~table.draws_noise].any()
    pushed = np.cumsum(table.push) - table.push
    for k in range(1, 4):
        assert not table.B[pushed < k, k].any() and not table.W[pushed < k, k].any()


def test_second_order_sampler_looks_back_one_step() -> None:
    assert table_of(DEMO, "dpmpp_2m", 20).history == 1
    assert table_of(DEMO, "dpmpp_2m", 1).history == 0
    assert table_of(DEMO, "ddim", 20).history == 0


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_evaluation_samplers_save_nothing(sampler: str) -> None:
    assert not table_of(DEMO, sampler, 4).uses_saved


@pytest.mark.parametrize(
    ("sampler", "prediction_type"),
    [pair for pair in itertools.product(("ddim", "euler", "euler_a"), PREDICTION_TYPES) if defined(DEMO, *pair)],
)
def test_predicts_x0_as_diffusers(sampler: str, prediction_type: str) -> None:
    config = DEMO | {"prediction_type": prediction_type}
    oracle = scheduler(config, sampler)
    oracle.set_timesteps(20)
    table = table_of(config, sampler, 20)
    x, m = NoiseStream(1).normal(SHAPE), NoiseStream(2).normal(SHAPE)
    for i, t in enumerate(oracle.timesteps):
        oracle.scale_model_input(torch.from_numpy(x), t)
        expected = oracle.step(torch.from_numpy(m), t, torch.from_numpy(x)).pred_original_sample.numpy()
        np.testing.assert_allclose(table.X[i] * x + table.Y[i] * m, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [-1, 0, 1001])
def test_refuses_step_counts_out_of_range(sampler: str, steps: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"between 1 and 1000, got {steps}$"):
        table_of(DEMO, sampler, steps)


def test_refuses_an_unknown_sampler() -> None:
    with pytest.raises(InvalidRequest, match=r"'heun2'.*ddim, euler, euler_a, dpmpp_2m, dpmpp_2m_karras, lcm$"):
        table_of(DEMO, "heun2", 20)


def test_lcm_refuses_more_steps_than_it_was_distilled_with() -> None:
    with pytest.raises(InvalidRequest, match="at most 50 steps with this model, got 51"):
        table_of(DEMO, "lcm", 51)


@pytest.mark.parametrize("sampler", ["ddim", "euler", "dpmpp_2m"])
def test_refuses_more_steps_than_the_spacing_has_timesteps(sampler: str) -> None:
    with pytest.raises(InvalidRequest, match="1000 steps are too many for this model with leading"):
        table_of(DEMO, sampler, 1000)


def test_refuses_clipping_where_it_would_act() -> None:
    clipping = DEMO | {"clip_sample": True}
    unnamed = {key: value for key, value in DEMO.items() if key != "clip_sample"}
    for config, sampler in ((clipping, "ddim"), (clipping, "lcm"), (unnamed, "ddim")):
        with pytest.raises(UnsupportedConfig, match="clip_sample"):
            table_of(config, sampler, 4)
    for config, sampler in ((clipping, "euler"), (clipping, "dpmpp_2m"), (unnamed, "lcm")):
        assert relative_error(by_table(table_of(config, sampler, 4)), by_diffusers(config, sampler, 4)) <= 2 * TOLERANCE


def test_euler_a_refuses_sample_prediction() -> None:
    with pytest.raises(UnsupportedConfig, match="prediction_type"):
        table_of(DEMO | {"prediction_type": "sample"}, "euler_a", 4)
