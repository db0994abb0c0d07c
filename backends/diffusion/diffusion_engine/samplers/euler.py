"""Euler and ancestral Euler (Karras et al. 2022, algorithm 2); diffusers' `EulerDiscreteScheduler` and ancestral twin.

Latents are x0 + sigma*noise here, so that they grow with sigma and are scaled down for the UNet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import PredictionType, SchedulerConfig, TimestepSpacing
from diffusion_engine.schedules import final_sigma, sigmas, spaced_timesteps

Vector = npt.NDArray[np.float64]


def euler(config: SchedulerConfig, steps: int) -> CoefficientTable:
    """Table of `steps` Euler steps; timesteps are fractional with linspace spacing."""
    timesteps, sigma = _levels(config, steps)
    return _descend(config, timesteps, sigma, np.append(sigma[1:], final_sigma(config)))


def euler_a(config: SchedulerConfig, steps: int) -> CoefficientTable:
    """Table of `steps` ancestral Euler steps: each goes below its sigma and adds fresh noise up to it.

    Raises `UnsupportedConfig` for sample prediction, which EulerAncestralDiscreteScheduler does not define.
    """
    if config.prediction_type is PredictionType.SAMPLE:
        raise UnsupportedConfig(
            "scheduler config: prediction_type is 'sample', which the sampler euler_a does not implement"
        )
    timesteps, sigma = _levels(config, steps)
    following = np.append(sigma[1:], 0.0)
    up = following * np.sqrt(1 - (following / sigma) ** 2)
    down = following**2 / sigma
    return _descend(config, timesteps, sigma, down, up)


def _levels(config: SchedulerConfig, steps: int) -> tuple[Vector, Vector]:
    """Timesteps and the sigma of each."""
    # float32 because that is what the UNet is fed; the sigma belongs to the rounded timestep.
    spaced = spaced_timesteps(config, steps, default=TimestepSpacing.LINSPACE).astype(np.float32)
    timesteps = spaced.astype(np.float64)
    return timesteps, np.interp(timesteps, np.arange(config.num_train_timesteps), sigmas(config))


def _descend(
    config: SchedulerConfig, timesteps: Vector, sigma: Vector, to: Vector, noise: Vector | None = None
) -> CoefficientTable:
    """The table of Euler steps from `sigma` down `to`, with so much noise added after each."""
    alpha = 1 / np.sqrt(sigma**2 + 1)
    X, Y = predicts_x0(config.prediction_type, alpha, sigma * alpha)
    spacing = config.timestep_spacing or TimestepSpacing.LINSPACE
    highest = sigma[0]
    return tabulate(
        timesteps,
        init_noise_sigma=np.sqrt(highest**2 + 1) if spacing is TimestepSpacing.LEADING else highest,
        prediction=(X * alpha, Y),
        A=to / sigma,
        B=(1 - to / sigma,),
        c_in=alpha,
        N=0.0 if noise is None else noise,
        draws_noise=noise is not None,
    )
