"""Euler and ancestral Euler (Karras et al. 2022, algorithm 2); diffusers' `EulerDiscreteScheduler` and ancestral twin.

Latents are x0 + sigma*noise here, so that they grow with sigma and are scaled down for the UNet.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.samplers.levels import levels_of_steps, unscaled_init_noise_sigma, unscaled_prediction
from diffusion_engine.samplers.refusals import refuse_sample_prediction
from diffusion_engine.scheduler_config import SchedulerConfig, SigmaSpacing
from diffusion_engine.schedules import final_sigma

Vector = npt.NDArray[np.float64]


def euler(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the Euler steps from `start` on, of `steps`; timesteps are fractional with linspace spacing."""
    timesteps, sigma = levels_of_steps(config, steps, config.sigma_spacing)
    return _descend(config, timesteps, sigma, np.append(sigma[1:], final_sigma(config)), start)


def euler_a(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the ancestral Euler steps from `start` on: each goes below its sigma and adds fresh noise up to it.

    Raises `UnsupportedConfig` for sample prediction, which EulerAncestralDiscreteScheduler does not define.
    """
    refuse_sample_prediction(config, "euler_a")
    timesteps, sigma = levels_of_steps(config, steps, SigmaSpacing.TIMESTEPS)
    following = np.append(sigma[1:], 0.0)
    up = following * np.sqrt(1 - (following / sigma) ** 2)
    down = following**2 / sigma
    return _descend(config, timesteps, sigma, down, start, up)


def _descend(
    config: SchedulerConfig, timesteps: Vector, sigma: Vector, to: Vector, start: int, noise: Vector | None = None
) -> CoefficientTable:
    """The table of Euler steps from `sigma` down `to`, with so much noise added after each."""
    return tabulate(
        timesteps,
        init_noise_sigma=unscaled_init_noise_sigma(config, sigma[0]),
        level=(1.0, sigma),
        prediction=unscaled_prediction(config, sigma),
        A=to / sigma,
        B=(1 - to / sigma,),
        c_in=1 / np.sqrt(sigma**2 + 1),
        N=0.0 if noise is None else noise,
        draws_noise=noise is not None,
        first=start,
    )
