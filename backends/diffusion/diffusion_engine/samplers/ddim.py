"""DDIM (Song et al. 2021, equation 12 with eta 0); diffusers' `DDIMScheduler`."""

from __future__ import annotations

import numpy as np

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import SchedulerConfig, TimestepSpacing
from diffusion_engine.schedules import alphas_cumprod, spaced_timesteps


def ddim(config: SchedulerConfig, steps: int) -> CoefficientTable:
    """Table of `steps` deterministic DDIM steps."""
    if config.clip_sample is not False:
        raise UnsupportedConfig(
            "scheduler config: clip_sample is true, which is also what DDIMScheduler assumes of a config without the"
            " key, and the engine does not implement clipping; set it to false or use another sampler than ddim"
        )
    timesteps = np.round(spaced_timesteps(config, steps, default=TimestepSpacing.LEADING)).astype(np.int64)
    products = alphas_cumprod(config)
    final = 1.0 if config.set_alpha_to_one else products[0]
    # A step always goes down by the same whole number of timesteps, also where the spacing of the timesteps differs.
    following = timesteps - config.num_train_timesteps // steps
    product, next_product = products[timesteps], np.where(following >= 0, products[following], final)
    alpha, sigma = np.sqrt(product), np.sqrt(1 - product)
    ratio = np.sqrt(1 - next_product) / sigma
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        prediction=predicts_x0(config.prediction_type, alpha, sigma),
        A=ratio,
        B=(np.sqrt(next_product) - alpha * ratio,),
    )
