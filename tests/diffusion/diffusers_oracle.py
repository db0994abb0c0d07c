"""The diffusers scheduler of a sampler, driven as diffusers' pipelines drive it, and a table driven alike."""

from __future__ import annotations

import inspect
import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import diffusers

from diffusers.utils.torch_utils import randn_tensor
from diffusion_engine.coefficients import CoefficientTable
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

# What diffusers' classes don't have and the samplers refuse.
WITHOUT_SAMPLE_PREDICTION = ("euler_a", "pndm")
WITHOUT_ZERO_SNR = ("heun", "lms", "pndm")


def defined(config: Mapping[str, object], sampler: str, prediction_type: str) -> bool:
    if config.get("rescale_betas_zero_snr") and (prediction_type == "epsilon" or sampler in WITHOUT_ZERO_SNR):
        return False
    return not (sampler in WITHOUT_SAMPLE_PREDICTION and prediction_type == "sample")


# Name of a config, sampler, prediction type, steps.
CASES = [
    case
    for case in itertools.product(CONFIGS, SAMPLERS, PREDICTION_TYPES, STEPS)
    if defined(CONFIGS[case[0]], *case[1:3])
]
# Config and sampler alone, for tests that take the config's own prediction type.
PAIRS = [(name, sampler) for name, sampler in itertools.product(("demo", "sd21"), SAMPLERS)]


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
class Picture:
    """The clean latents of a picture to start from, and where to keep it: 0 keeps, 1 repaints."""

    latents: npt.NDArray[np.float32]
    mask: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Run:
    """A whole run: what the UNet was fed, where it began and ended, and the noise that would have been drawn next."""

    timesteps: npt.NDArray[np.float32]
    init_noise_sigma: float
    latents: Array
    next_noise: Array


def by_diffusers(
    config: Mapping[str, object],
    sampler: str,
    steps: int,
    strength: float = 1.0,
    picture: Picture | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> Run:
    """The loop of StableDiffusionPipeline, or with a picture of StableDiffusionImg2ImgPipeline, or with a mask too of
    StableDiffusionInpaintPipeline.
    """
    oracle = scheduler(config, sampler)
    generator = torch.Generator("cpu").manual_seed(SEED)
    oracle.set_timesteps(steps)
    # Rounded to float32 all the same, but what is computed from them is not.
    for schedule in ("sigmas", "alphas_cumprod"):
        if hasattr(oracle, schedule):
            setattr(oracle, schedule, getattr(oracle, schedule).to(dtype))
    sigma = float(oracle.init_noise_sigma)
    if picture is None:
        # Without this, diffusers starts at the second step, and runs off the end, where rounding makes the first two
        # timesteps equal (Karras sigmas and many steps).
        if hasattr(oracle, "set_begin_index"):
            oracle.set_begin_index(0)
        timesteps = oracle.timesteps
        x = torch.randn(SHAPE, generator=generator) * oracle.init_noise_sigma
    else:
        timesteps, x, noise = _prepare(oracle, steps, strength, picture, generator)
    x = x.to(dtype)
    _draw_in_float32(oracle)
    accepted = inspect.signature(oracle.step).parameters
    options = {key: value for key, value in {"eta": 0.0, "generator": generator}.items() if key in accepted}
    for i, t in enumerate(timesteps):
        m = unet_in_torch(oracle.scale_model_input(x, t), float(t))
        x = oracle.step(m, t, x, **options).prev_sample
        if picture is not None and picture.mask is not None:
            known, mask = torch.from_numpy(picture.latents), torch.from_numpy(picture.mask)
            if i < len(timesteps) - 1:
                known = oracle.add_noise(known, noise, torch.tensor([timesteps[i + 1]]))
            x = (1 - mask) * known + mask * x
    fed = timesteps.numpy().astype(np.float32)
    return Run(fed, sigma, x.numpy(), torch.randn(16, generator=generator).numpy())


def _draw_in_float32(oracle: Any) -> None:
    """Some schedulers draw noise in the precision of the latents, and other numbers in float64 than in float32."""
    module = inspect.getmodule(type(oracle))
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = lambda shape, **options: randn_tensor(shape, **options | {"dtype": torch.float32})


def _prepare(
    oracle: Any, steps: int, strength: float, picture: Picture, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Timesteps, initial latents and their noise, by the pipelines' own methods."""
    pipeline = SimpleNamespace(scheduler=oracle, vae_scale_factor=8)
    clean = torch.from_numpy(picture.latents)
    if picture.mask is None:
        kind = diffusers.StableDiffusionImg2ImgPipeline
        timesteps, _ = kind.get_timesteps(pipeline, steps, strength, None)
        x = kind.prepare_latents(pipeline, clean, timesteps[:1], 1, 1, torch.float32, None, generator)
        return timesteps, x, torch.empty(0)
    kind = diffusers.StableDiffusionInpaintPipeline
    timesteps, _ = kind.get_timesteps(pipeline, steps, strength, None)
    x, noise, _ = kind.prepare_latents(
        pipeline,
        *(1, 4, 8 * SHAPE[2], 8 * SHAPE[3], torch.float32, None, generator),
        image=clean,
        timestep=timesteps[:1],
        is_strength_max=strength == 1.0,
        return_noise=True,
        return_image_latents=True,
    )
    return timesteps, x, noise


def by_table(
    table: CoefficientTable,
    *,
    picture: Picture | None = None,
    pure_noise: bool = True,
    seed: int = SEED,
    dtype: type[np.floating[Any]] = np.float32,
) -> Run:
    """The table's arithmetic for one picture, in float32 throughout as in the engine unless told otherwise."""
    stream = NoiseStream(seed)
    noise = stream.normal(SHAPE).astype(dtype)
    if pure_noise or picture is None:
        x = dtype(table.init_noise_sigma) * noise
    else:
        x = dtype(table.init_signal) * picture.latents + dtype(table.init_noise) * noise
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
            following += N * stream.normal(SHAPE)
        x = following
        if picture is not None and picture.mask is not None:
            known = dtype(table.known_signal[i]) * picture.latents + dtype(table.known_noise[i]) * noise
            x = (1 - picture.mask) * known + picture.mask * x
        if table.push[i]:
            past = d[:3]
    assert x.dtype == dtype
    return Run(table.timesteps, table.init_noise_sigma, x, stream.normal((16,)))


def relative_error(run: Run, expected: Run) -> float:
    return float(np.linalg.norm(run.latents - expected.latents) / np.linalg.norm(expected.latents))


def table_of(config: Mapping[str, object], sampler: str, steps: int, strength: float = 1.0) -> CoefficientTable:
    return build(SchedulerConfig.from_json(config), sampler, steps, strength)
