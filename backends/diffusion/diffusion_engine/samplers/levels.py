"""Levels: the timesteps and sigmas that the steps of a sampler start from, for samplers that work on sigmas.

A sigma is the noise relative to the picture. Latents are either x0 + sigma*noise (Euler and its kin), or that divided
by sqrt(sigma^2 + 1), so that their variance stays one (the DPM-Solver family).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import SchedulerConfig, SigmaSpacing, TimestepSpacing
from diffusion_engine.schedules import (
    exponential_sigmas,
    karras_sigmas,
    sigmas,
    sigmas_to_timesteps,
    spaced_timesteps,
)

Vector = npt.NDArray[np.float64]


def levels_of_steps(config: SchedulerConfig, steps: int, spacing: SigmaSpacing) -> tuple[Vector, Vector]:
    """Timesteps, fractional with linspace spacing, and sigmas, over the range that the timesteps have.

    As Euler, Heun and LMS of diffusers have them.
    """
    trained = sigmas(config)
    # float32 because that is what the UNet is fed; the sigma belongs to the rounded timestep.
    spaced = spaced_timesteps(config, steps, default=TimestepSpacing.LINSPACE).astype(np.float32)
    timesteps = spaced.astype(np.float64)
    levels = np.interp(timesteps, np.arange(len(trained)), trained)
    return _respaced(timesteps, levels, spacing, levels[-1], levels[0], trained)


def levels_of_training(config: SchedulerConfig, steps: int, spacing: SigmaSpacing) -> tuple[Vector, Vector]:
    """Timesteps, not rounded yet where `spacing` makes them fractional, and sigmas, over the whole range of training.

    As DPM-Solver and UniPC of diffusers have them.
    """
    trained = sigmas(config)
    timesteps = np.round(spaced_timesteps(config, steps, default=TimestepSpacing.LINSPACE, beyond_last=True))
    levels = trained[timesteps.astype(np.int64)]
    return _respaced(timesteps, levels, spacing, trained[0], trained[-1], trained)


def _respaced(
    timesteps: Vector, levels: Vector, spacing: SigmaSpacing, lowest: float, highest: float, trained: Vector
) -> tuple[Vector, Vector]:
    match spacing:
        case SigmaSpacing.TIMESTEPS:
            return timesteps, levels
        case SigmaSpacing.KARRAS:
            levels = karras_sigmas(lowest, highest, len(levels))
        case SigmaSpacing.EXPONENTIAL:
            levels = exponential_sigmas(lowest, highest, len(levels))
    return sigmas_to_timesteps(levels, trained), levels


def unscaled_prediction(config: SchedulerConfig, sigma: Vector) -> tuple[Vector, Vector]:
    """Coefficients (X, Y) of x0 = X*x + Y*m for latents x = x0 + sigma*noise, of which the UNet is fed c_in*x."""
    alpha = 1 / np.sqrt(sigma**2 + 1)
    X, Y = predicts_x0(config.prediction_type, alpha, sigma * alpha)
    return X * alpha, Y


def unscaled_slope(config: SchedulerConfig, sigma: Vector) -> tuple[Vector, Vector]:
    """Coefficients (P, Q) of dx/dsigma = (x - x0)/sigma = P*x + Q*m, for the same latents."""
    X, Y = unscaled_prediction(config, sigma)
    return (1 - X) / sigma, -Y / sigma


def unscaled_init_noise_sigma(config: SchedulerConfig, highest: float) -> float:
    """What unit noise is multiplied with to give the initial latents, with `highest` the largest sigma of the run."""
    spacing = config.timestep_spacing or TimestepSpacing.LINSPACE
    return float(np.sqrt(highest**2 + 1)) if spacing is TimestepSpacing.LEADING else highest
