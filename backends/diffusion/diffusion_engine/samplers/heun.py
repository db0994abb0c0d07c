"""Heun's second-order method (Karras et al. 2022, algorithm 1); diffusers' `HeunDiscreteScheduler`.

A step takes two UNet evaluations: an Euler step to the next sigma, and the step anew with the mean of the slopes at
both ends. The last step, to sigma 0, is Euler's alone. Latents are x0 + sigma*noise.
"""

from __future__ import annotations

import numpy as np

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.samplers.levels import (
    levels_of_steps,
    unscaled_init_noise_sigma,
    unscaled_prediction,
    unscaled_slope,
)
from diffusion_engine.samplers.refusals import refuse_clipping, refuse_zero_snr
from diffusion_engine.scheduler_config import SchedulerConfig


def heun(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the steps from `start` on, of `steps`: two rows for each but the last."""
    refuse_clipping(config, "heun")
    refuse_zero_snr(config, "heun")
    timesteps, levels = levels_of_steps(config, steps, config.sigma_spacing)
    # The evaluations are at levels 0, 1, 1, 2, 2, ..: begin a step, end it, begin the next at the same level.
    at = (np.arange(2 * steps - 1) + 1) // 2
    ends = np.arange(2 * steps - 1) % 2 == 1
    sigma = levels[at]
    step = np.append(levels[1:], 0.0) - levels
    length = np.where(ends, step[at - 1], step[at])
    return tabulate(
        timesteps[at],
        init_noise_sigma=unscaled_init_noise_sigma(config, levels[0]),
        level=(1.0, sigma),
        prediction=unscaled_prediction(config, sigma),
        d=unscaled_slope(config, sigma),
        c_in=1 / np.sqrt(sigma**2 + 1),
        U=~ends,
        A=~ends,
        S=ends,
        B=(np.where(ends, length / 2, length), np.where(ends, length / 2, 0.0)),
        push=~ends,
        first=2 * start,
    )
