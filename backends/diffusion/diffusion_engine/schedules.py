"""Noise schedules: training betas, timestep spacing and sigmas, as diffusers computes them from a scheduler config."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from diffusion_engine.errors import InvalidRequest
from diffusion_engine.scheduler_config import BetaSchedule, FinalSigma, SchedulerConfig, TimestepSpacing

Vector = npt.NDArray[np.float64]

# The smallest subnormal of fp16: what diffusers puts for an alpha product of zero where a finite sigma is needed.
_SMALLEST_ALPHA: Final = 2**-24
_KARRAS_RHO: Final = 7.0


def alphas_cumprod(config: SchedulerConfig) -> Vector:
    """The product of 1 - beta up to each training timestep, [num_train_timesteps], falling from near 1 to near 0.

    Zero at the last timestep where the config rescales betas to zero terminal SNR.
    """
    # Rounded to float32 where diffusers does, because that is what checkpoints were trained with: near timestep 0 the
    # rounding is visible in 1 - alphas_cumprod.
    betas = _betas(config).astype(np.float32)
    if config.beta_schedule is BetaSchedule.SCALED_LINEAR:
        betas = betas**2
    alphas = np.float32(1) - betas
    if config.rescale_betas_zero_snr:
        alphas = _zero_terminal_snr(alphas)
    return _cumprod(alphas).astype(np.float64)


def sigmas(config: SchedulerConfig) -> Vector:
    """The noise level relative to the picture, sqrt((1 - a) / a), at each training timestep; finite everywhere."""
    products = alphas_cumprod(config)
    if config.rescale_betas_zero_snr:
        products[-1] = _SMALLEST_ALPHA
    levels: Vector = np.sqrt((1 - products) / products)
    return levels


def final_sigma(config: SchedulerConfig) -> float:
    """The sigma that follows the last step."""
    return 0.0 if config.final_sigmas_type is FinalSigma.ZERO else float(sigmas(config)[0])


def spaced_timesteps(
    config: SchedulerConfig, steps: int, *, default: TimestepSpacing, beyond_last: bool = False
) -> Vector:
    """The training timesteps of `steps` steps, falling; fractional with linspace spacing.

    `default` is the spacing of a config that names none. `beyond_last` spreads one point more and leaves the last
    one out (DPMSolverMultistepScheduler). Raises `InvalidRequest` for more steps than the spacing can keep apart.
    """
    spacing = config.timestep_spacing or default
    trained = config.num_train_timesteps
    points = steps + 1 if beyond_last else steps
    match spacing:
        case TimestepSpacing.LINSPACE:
            spaced = np.linspace(0, trained - 1, points)[::-1][:steps]
        case TimestepSpacing.LEADING:
            spaced = (np.arange(points) * (trained // points))[::-1][:steps] + float(config.steps_offset)
        case TimestepSpacing.TRAILING:
            # Cut, because for some step counts (61, 103, ..) arange rounds itself one element longer.
            spaced = np.round(np.arange(trained, 0, -trained / steps))[:steps] - 1
    whole = np.round(spaced)
    if whole[0] >= trained or (np.diff(whole) >= 0).any():
        raise InvalidRequest(f"{steps} steps are too many for this model with {spacing} timestep spacing; use fewer")
    return spaced


def karras_sigmas(sigma_min: float, sigma_max: float, steps: int) -> Vector:
    """Falling sigmas from `sigma_max` to `sigma_min`, [steps] (Karras et al. 2022, equation 5)."""
    ramp = np.linspace(0, 1, steps)
    low, high = sigma_min ** (1 / _KARRAS_RHO), sigma_max ** (1 / _KARRAS_RHO)
    levels: Vector = (high + ramp * (low - high)) ** _KARRAS_RHO
    return levels


def exponential_sigmas(sigma_min: float, sigma_max: float, steps: int) -> Vector:
    """Falling sigmas from `sigma_max` to `sigma_min`, [steps], evenly spread in log sigma."""
    levels: Vector = np.exp(np.linspace(np.log(sigma_max), np.log(sigma_min), steps))
    return levels


def sigmas_to_timesteps(wanted: Vector, trained: Vector) -> Vector:
    """The fractional timesteps at which training had the noise levels `wanted`, interpolated in log sigma."""
    # In float32 as in diffusers, so that rounding can't put the last sigma of training just below its timestep.
    return np.interp(_log32(wanted), _log32(trained), np.arange(len(trained)))


def distilled_timesteps(config: SchedulerConfig, steps: int, sampler: str) -> npt.NDArray[np.int64]:
    """The timesteps of `steps` steps, falling, out of those that a consistency model was distilled with.

    Raises `InvalidRequest`, naming the sampler, for more steps than the distillation had.
    """
    original = config.original_inference_steps
    if steps > original:
        raise InvalidRequest(f"the sampler {sampler} takes at most {original} steps with this model, got {steps}")
    distilled = np.arange(original, 0, -1) * (config.num_train_timesteps // original) - 1
    timesteps: npt.NDArray[np.int64] = distilled[np.linspace(0, original, steps, endpoint=False).astype(np.int64)]
    return timesteps


def _log32(levels: Vector) -> Vector:
    return np.log(levels).astype(np.float32).astype(np.float64)


def _betas(config: SchedulerConfig) -> Vector:
    """Training betas in float64; square roots of betas for the scaled linear schedule."""
    trained = config.num_train_timesteps
    betas: Vector
    match config.beta_schedule:
        case BetaSchedule.LINEAR:
            betas = np.linspace(config.beta_start, config.beta_end, trained)
        case BetaSchedule.SCALED_LINEAR:
            betas = np.linspace(config.beta_start**0.5, config.beta_end**0.5, trained)
        case BetaSchedule.SQUAREDCOS_CAP_V2:
            # Nichol and Dhariwal 2021, equation 17.
            alpha_bar = np.cos((np.arange(trained + 1) / trained + 0.008) / 1.008 * np.pi / 2) ** 2
            betas = np.minimum(1 - alpha_bar[1:] / alpha_bar[:-1], 0.999)
    return betas


def _zero_terminal_snr(alphas: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """1 - betas shifted and scaled to no signal at the last timestep (Lin et al. 2023, algorithm 1)."""
    roots = np.sqrt(_cumprod(alphas))
    first, last = roots[0], roots[-1]
    products = ((roots - last) * (first / (first - last))) ** 2
    rescaled = np.concatenate([products[:1], products[1:] / products[:-1]])
    # Through betas and back: diffusers keeps betas in float32, and the rounding multiplies up.
    betas = np.float32(1) - rescaled
    rounded: npt.NDArray[np.float32] = np.float32(1) - betas
    return rounded


def _cumprod(alphas: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # torch.cumprod accumulates float32 in double precision on the CPU.
    return np.cumprod(alphas, dtype=np.float64).astype(np.float32)
