"""DPM-Solver++ multistep (Lu et al. 2022, algorithm 2); diffusers' `DPMSolverMultistepScheduler`."""

from __future__ import annotations

import numpy as np

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import BetaSchedule, FinalSigma, SchedulerConfig, TimestepSpacing
from diffusion_engine.schedules import (
    final_sigma,
    karras_sigmas,
    sigmas,
    sigmas_to_timesteps,
    spaced_timesteps,
)

# Below this many steps the last one may be of first order (`lower_order_final`).
_FEW_STEPS = 15


def dpmpp_2m(config: SchedulerConfig, steps: int, *, karras: bool = False) -> CoefficientTable:
    """Table of `steps` second-order midpoint steps, with Karras' sigmas or the spacing of the config."""
    trained = sigmas(config)
    if karras:
        sigma = karras_sigmas(trained[0], trained[-1], steps)
        timesteps = sigmas_to_timesteps(sigma, trained)
        if config.beta_schedule is not BetaSchedule.SQUAREDCOS_CAP_V2:
            timesteps = np.round(timesteps)
        timesteps = np.floor(timesteps)
    else:
        spacing = TimestepSpacing.LINSPACE
        timesteps = np.round(spaced_timesteps(config, steps, default=spacing, beyond_last=True))
        sigma = trained[timesteps.astype(np.int64)]

    following = np.append(sigma[1:], final_sigma(config))
    alpha, next_alpha = 1 / np.sqrt(sigma**2 + 1), 1 / np.sqrt(following**2 + 1)
    ratio = following * next_alpha / (sigma * alpha)
    # The weight of x0 in a first-order step: next_alpha*(1 - exp(-h)) in the paper.
    first_order = next_alpha - alpha * ratio
    slope = np.zeros(steps)
    second = np.arange(1, steps if _ends_second_order(config, steps) else steps - 1)
    # h is the step in log signal-to-noise ratio; the paper's r0 is the last step's h over this one's.
    h = np.log(sigma[second] / following[second])
    last_h = np.log(sigma[second - 1] / sigma[second])
    slope[second] = first_order[second] * h / last_h / 2
    return tabulate(
        timesteps,
        init_noise_sigma=1.0,
        prediction=predicts_x0(config.prediction_type, alpha, sigma * alpha),
        A=ratio,
        B=(first_order + slope, -slope),
        push=True,
    )


def _ends_second_order(config: SchedulerConfig, steps: int) -> bool:
    """Whether the last step is of second order; never where it ends at sigma zero, an infinite h."""
    return not (
        config.final_sigmas_type is FinalSigma.ZERO
        or config.euler_at_final
        or (config.lower_order_final and steps < _FEW_STEPS)
    )
