"""DDIM (Song et al. 2021, equation 12 with eta 0); diffusers' `DDIMScheduler`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import SchedulerConfig, TimestepSpacing
from diffusion_engine.schedules import alphas_cumprod, spaced_timesteps


def ddim(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the deterministic DDIM steps from `start` on, of `steps`."""
    if config.clip_sample is not False:
        raise UnsupportedConfig(
            "scheduler config: clip_sample is true, which is also what DDIMScheduler assumes of a config without the"
            " key, and the engine does not implement clipping; set it to false or use another sampler than ddim"
        )
    timesteps = np.round(spaced_timesteps(config, steps, default=TimestepSpacing.LEADING)).astype(np.int64)
    products = alphas_cumprod(config)
    final = products[0] if config.set_alpha_to_one is False else 1.0
    # A step always goes down by the same whole number of timesteps, also where the spacing of the timesteps differs.
    following = timesteps - config.num_train_timesteps // steps
    next_product = np.where(following >= 0, products[following], final)
    return deterministic_steps(config, timesteps, products[timesteps], next_product, start)


def deterministic_steps(
    config: SchedulerConfig,
    timesteps: npt.NDArray[np.int64],
    product: npt.NDArray[np.float64],
    next_product: npt.NDArray[np.float64],
    start: int,
) -> CoefficientTable:
    """Table of the steps from `start` on, between latents whose alpha products are `product` and `next_product`."""
    alpha, sigma = np.sqrt(product), np.sqrt(1 - product)
    ratio = np.sqrt(1 - next_product) / sigma
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        level=(alpha, sigma),
        prediction=predicts_x0(config.prediction_type, alpha, sigma),
        A=ratio,
        B=(np.sqrt(next_product) - alpha * ratio,),
        first=start,
    )
