"""Latent consistency sampling (Luo et al. 2023, algorithm 3); diffusers' `LCMScheduler`."""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.schedules import alphas_cumprod

_SIGMA_DATA: Final = 0.5


def lcm(config: SchedulerConfig, steps: int) -> CoefficientTable:
    """Table of `steps` consistency steps: predict x0, add fresh noise for the next timestep, none after the last.

    Raises `InvalidRequest` for more steps than the schedule that the model was distilled with has.
    """
    if config.clip_sample:
        raise UnsupportedConfig(
            "scheduler config: clip_sample is true, and the engine does not implement clipping; set it to false or use"
            " another sampler than lcm"
        )
    original = config.original_inference_steps
    if steps > original:
        raise InvalidRequest(f"the sampler lcm takes at most {original} steps with this model, got {steps}")
    distilled = np.arange(original, 0, -1) * (config.num_train_timesteps // original) - 1
    timesteps = distilled[np.linspace(0, original, steps, endpoint=False).astype(np.int64)]
    product = alphas_cumprod(config)[timesteps]
    # The last step ends at its prediction: all signal, no noise.
    following = np.append(product[1:], 1.0)
    # Boundary conditions of the consistency function: it is the identity at timestep 0.
    scaled = timesteps * config.timestep_scaling
    c_skip = _SIGMA_DATA**2 / (scaled**2 + _SIGMA_DATA**2)
    c_out = scaled / np.sqrt(scaled**2 + _SIGMA_DATA**2)
    noise = np.sqrt(1 - following)
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        prediction=predicts_x0(config.prediction_type, np.sqrt(product), np.sqrt(1 - product)),
        A=np.sqrt(following) * c_skip,
        B=(np.sqrt(following) * c_out,),
        N=noise,
        draws_noise=np.arange(steps) < steps - 1,
    )
