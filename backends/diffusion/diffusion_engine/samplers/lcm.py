"""Latent consistency sampling (Luo et al. 2023, algorithm 3); diffusers' `LCMScheduler`."""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.samplers.refusals import refuse_clipping
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.schedules import alphas_cumprod, distilled_timesteps

_SIGMA_DATA: Final = 0.5


def lcm(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the consistency steps from `start` on, of `steps`.

    Each predicts x0 and adds fresh noise for the next timestep, none after the last. Raises `InvalidRequest` for more
    steps than the schedule that the model was distilled with has.
    """
    refuse_clipping(config, "lcm")
    timesteps = distilled_timesteps(config, steps, "lcm")
    product = alphas_cumprod(config)[timesteps]
    alpha, sigma = np.sqrt(product), np.sqrt(1 - product)
    # The last step ends at its prediction: all signal, no noise.
    next_alpha, next_sigma = np.append(alpha[1:], 1.0), np.append(sigma[1:], 0.0)
    # Boundary conditions of the consistency function: it is the identity at timestep 0.
    scaled = timesteps * config.timestep_scaling
    c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
    c_out = scaled / np.sqrt(scaled**2 + _SIGMA_DATA**2)
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        level=(alpha, sigma),
        prediction=predicts_x0(config.prediction_type, alpha, sigma),
        A=next_alpha * c_skip,
        B=(next_alpha * c_out,),
        N=next_sigma,
        draws_noise=np.arange(steps) < steps - 1,
        first=start,
    )
