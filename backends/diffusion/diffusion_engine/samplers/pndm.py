"""Pseudo linear multistep sampling (PLMS; Liu et al. 2022, equation 12); diffusers' `PNDMScheduler`, `skip_prk_steps`.

The first step takes two UNet evaluations: to the next timestep, and anew with the mean of the outputs at both ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion_engine.coefficients import TERMS, CoefficientTable, tabulate
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.samplers.refusals import refuse_sample_prediction, refuse_zero_snr
from diffusion_engine.scheduler_config import PredictionType, SchedulerConfig, TimestepSpacing
from diffusion_engine.schedules import alphas_cumprod, spaced_timesteps

# Weights of this and earlier outputs of the UNet at each evaluation; Adams-Bashforth's, and the last from there on.
_WEIGHTS: Final = np.array(
    [
        [1, 0, 0, 0],
        [1 / 2, 1 / 2, 0, 0],
        [3 / 2, -1 / 2, 0, 0],
        [23 / 12, -16 / 12, 5 / 12, 0],
        [55 / 24, -59 / 24, 37 / 24, -9 / 24],
    ]
)


def pndm(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the steps from `start` on, of `steps`: one row more than steps, unless there is but one.

    Raises `UnsupportedConfig` for sample prediction, which PNDMScheduler does not define.
    """
    refuse_sample_prediction(config, "pndm")
    refuse_zero_snr(config, "pndm")
    spaced = np.round(spaced_timesteps(config, steps, default=TimestepSpacing.LEADING)).astype(np.int64)
    # diffusers repeats the second timestep for the second evaluation, and cuts only then: a run that begins later has
    # its second evaluation at the next timestep and goes on from there as if it had been repeated.
    timesteps = np.concatenate([spaced[:2], spaced[1:]])[start:]
    products = alphas_cumprod(config)
    gap = config.num_train_timesteps // steps
    count = np.arange(len(timesteps))
    again = count == 1
    # The second evaluation is at the end of the step that it repeats, the others at the beginning of theirs.
    at, to = np.where(again, timesteps + gap, timesteps), np.where(again, timesteps, timesteps - gap)
    product = products[at]
    next_product = np.where(to >= 0, products[to], products[0] if config.set_alpha_to_one is not True else 1.0)
    # Equation 9, with x the latents at the beginning of the step and e the noise predicted there.
    of_x = np.sqrt(next_product / product)
    of_e = (product - next_product) / (
        product * np.sqrt(1 - next_product) + np.sqrt(product * (1 - product) * next_product)
    )
    if config.prediction_type is PredictionType.V_PREDICTION:
        of_x, of_e = of_x + of_e * np.sqrt(1 - product), of_e * np.sqrt(product)
    weights = _WEIGHTS[np.minimum(count, TERMS)]
    fed = products[timesteps]
    alpha, sigma = np.sqrt(fed), np.sqrt(1 - fed)
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        level=(alpha, sigma),
        prediction=predicts_x0(config.prediction_type, alpha, sigma),
        d=(0.0, 1.0),
        U=count == 0,
        A=np.where(again, 0.0, of_x),
        S=np.where(again, of_x, 0.0),
        B=tuple(of_e * weights.T),
        push=~again,
    )
