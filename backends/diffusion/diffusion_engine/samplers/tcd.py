"""Trajectory consistency sampling (Zheng et al. 2024, algorithm 4 with gamma 0); diffusers' `TCDScheduler`, eta 0."""

from __future__ import annotations

import numpy as np

from diffusion_engine.coefficients import CoefficientTable
from diffusion_engine.samplers.ddim import deterministic_steps
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.schedules import alphas_cumprod, distilled_timesteps


def tcd(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the deterministic steps from `start` on, of `steps`; the last ends at timestep 0, not at no noise.

    Raises `InvalidRequest` for more steps than the schedule that the model was distilled with has.
    """
    timesteps = distilled_timesteps(config, steps, "tcd")
    products = alphas_cumprod(config)
    following = np.append(timesteps[1:], 0)
    return deterministic_steps(config, timesteps, products[timesteps], products[following], start)
