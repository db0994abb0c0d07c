"""DPM-Solver++ multistep (Lu et al. 2022, algorithm 2 and appendix B.2); diffusers' `DPMSolverMultistepScheduler`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffusion_engine.coefficients import CoefficientTable, tabulate
from diffusion_engine.samplers.levels import levels_of_training
from diffusion_engine.samplers.prediction import predicts_x0
from diffusion_engine.scheduler_config import BetaSchedule, FinalSigma, SchedulerConfig, SigmaSpacing
from diffusion_engine.schedules import final_sigma

# Below this many steps the last one may be of first order (`lower_order_final`).
_FEW_STEPS = 15


def dpmpp_2m(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the second-order midpoint steps from `start` on, of `steps`, without Karras' sigmas."""
    return _multistep(replace(config, use_karras_sigmas=False), steps, start, stochastic=False)


def dpmpp_2m_karras(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the second-order midpoint steps from `start` on, of `steps`, with Karras' sigmas."""
    karras = replace(config, use_karras_sigmas=True, use_exponential_sigmas=False)
    return _multistep(karras, steps, start, stochastic=False)


def dpmpp_2m_sde(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the stochastic second-order midpoint steps from `start` on, of `steps`, with the config's sigmas."""
    return _multistep(config, steps, start, stochastic=True)


def _multistep(config: SchedulerConfig, steps: int, start: int, *, stochastic: bool) -> CoefficientTable:
    timesteps, sigma = levels_of_training(config, steps, config.sigma_spacing)
    if config.sigma_spacing is SigmaSpacing.KARRAS and config.beta_schedule is not BetaSchedule.SQUAREDCOS_CAP_V2:
        timesteps = np.round(timesteps)
    following = np.append(sigma[1:], final_sigma(config))
    alpha, next_alpha = 1 / np.sqrt(sigma**2 + 1), 1 / np.sqrt(following**2 + 1)
    # h is the step in log signal-to-noise ratio, and decay exp(-h); the stochastic solver goes twice as far, exp(-2h),
    # and adds the noise that is then missing.
    decay = (following / sigma) ** (2 if stochastic else 1)
    # The weight of x0 in a first-order step.
    first_order = next_alpha * (1 - decay)
    slope = np.zeros(steps)
    second = np.arange(start + 1, steps if _ends_second_order(config, steps) else steps - 1)
    # The paper's r0 is the last step's h over this one's.
    h = np.log(sigma[second] / following[second])
    last_h = np.log(sigma[second - 1] / sigma[second])
    slope[second] = first_order[second] * h / last_h / 2
    return tabulate(
        np.floor(timesteps),
        init_noise_sigma=1.0,
        level=(alpha, sigma * alpha),
        prediction=predicts_x0(config.prediction_type, alpha, sigma * alpha),
        A=decay * next_alpha / alpha,
        B=(first_order + slope, -slope),
        N=following * next_alpha * np.sqrt(1 - decay) if stochastic else 0.0,
        push=True,
        # Also in the last step, which may end at no noise.
        draws_noise=stochastic,
        first=start,
    )


def _ends_second_order(config: SchedulerConfig, steps: int) -> bool:
    """Whether the last step is of second order; never where it ends at sigma zero, an infinite h."""
    return not (
        config.final_sigmas_type is FinalSigma.ZERO
        or config.euler_at_final
        or (config.lower_order_final and steps < _FEW_STEPS)
    )
