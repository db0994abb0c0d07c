"""UniPC of order 2 with B(h) = exp(h) - 1 (Zhao et al. 2023, algorithms 5 and 6); diffusers' `UniPCMultistepScheduler`.

An evaluation first corrects the latents that it was made at, by a step anew from the corrected latents before them,
which are `saved`; then it predicts the next latents from these.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from diffusion_engine.coefficients import TERMS, CoefficientTable, tabulate
from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.samplers.levels import levels_of_training
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import FinalSigma, SchedulerConfig, SigmaSpacing
from diffusion_engine.schedules import final_sigma

Vector = npt.NDArray[np.float64]

_ORDER: Final = 2


def unipc(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the steps from `start` on, of `steps`.

    Raises `UnsupportedConfig` where the last step would be of second order and end at sigma 0: it has no finite value.
    """
    if not config.lower_order_final and config.final_sigmas_type is FinalSigma.ZERO:
        raise UnsupportedConfig(
            "scheduler config: lower_order_final is false and final_sigmas_type is 'zero', with which the sampler unipc"
            " can't end; set one of them otherwise or use another sampler"
        )
    timesteps, sigma = levels_of_training(config, steps, config.sigma_spacing)
    timesteps = np.round(timesteps) if config.sigma_spacing is SigmaSpacing.KARRAS else np.floor(timesteps)
    spread = config.sigma_spacing is not SigmaSpacing.TIMESTEPS
    last = sigma[-1] if spread and config.final_sigmas_type is FinalSigma.SIGMA_MIN else final_sigma(config)
    levels = np.append(sigma, last)
    alpha = 1 / np.sqrt(levels**2 + 1)

    kept, corrected = np.zeros(steps), np.zeros((steps, TERMS))
    ratio, predicted = np.zeros(steps), np.zeros((steps, TERMS))
    order = 0
    for i in range(start, steps):
        if order:
            kept[i], corrected[i] = _correct(levels[max(i - 2, 0) : i + 1], alpha[i - 1 : i + 1], order)
        left = steps - i if config.lower_order_final else _ORDER
        order = min(_ORDER, left, i - start + 1)
        ratio[i], predicted[i] = _predict(levels[max(i - 1, 0) : i + 2], alpha[i : i + 2], order)

    begins = np.arange(steps) == start
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        level=(alpha[:-1], sigma * alpha[:-1]),
        prediction=predicts_x0(config.prediction_type, alpha[:-1], sigma * alpha[:-1]),
        U=begins,
        V=kept,
        W=tuple(corrected.T),
        # Both start from the corrected latents; in the first step these are the latents themselves.
        A=np.where(begins, ratio, 0.0),
        S=ratio * kept,
        B=tuple((ratio[:, None] * corrected + predicted).T),
        push=True,
        first=start,
    )


def _predict(levels: Vector, alpha: Vector, order: int) -> tuple[float, Vector]:
    """Weights of the latents at `levels[-2]` and of d_0, d_1 for those at `levels[-1]`; `alpha` is that of both."""
    phi, weights = 1 - levels[-1] / levels[-2], np.zeros(TERMS)
    weights[0] = alpha[1] * phi
    if order == _ORDER:
        slope = alpha[1] * phi / 2 * np.log(levels[-2] / levels[-1]) / np.log(levels[-3] / levels[-2])
        weights[:2] += [slope, -slope]
    return levels[-1] * alpha[1] / (levels[-2] * alpha[0]), weights


def _correct(levels: Vector, alpha: Vector, order: int) -> tuple[float, Vector]:
    """Weights of the latents at `levels[-2]` and of d_0, d_1, d_2 for those at `levels[-1]`, where d_0 was made."""
    phi, weights = 1 - levels[-1] / levels[-2], np.zeros(TERMS)
    weights[1] = alpha[1] * phi
    this = 1 / 2
    if order == _ORDER:
        h = np.log(levels[-2] / levels[-1])
        # Where the step before began, in units of h and counted from its end.
        r = np.log(levels[-2] / levels[-3]) / h
        # The two conditions of order 2 (equation 5), with B(h) divided out.
        conditions = np.array([1 - phi / h, 1 - 2 * (1 - phi / h) / h]) / phi
        earlier, this = np.linalg.solve([[1.0, 1.0], [r, 1.0]], conditions)
        slope = alpha[1] * phi * earlier / r
        weights[1:3] += [-slope, slope]
    weights[:2] += [alpha[1] * phi * this, -alpha[1] * phi * this]
    return levels[-1] * alpha[1] / (levels[-2] * alpha[0]), weights
