"""Linear multistep sampling of order 4 (Adams-Bashforth on sigmas); diffusers' `LMSDiscreteScheduler`.

Latents are x0 + sigma*noise.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from diffusion_engine.coefficients import TERMS, CoefficientTable, tabulate
from diffusion_engine.samplers.levels import (
    levels_of_steps,
    unscaled_init_noise_sigma,
    unscaled_prediction,
    unscaled_slope,
)
from diffusion_engine.samplers.refusals import refuse_zero_snr
from diffusion_engine.scheduler_config import SchedulerConfig

Vector = npt.NDArray[np.float64]

# Nodes of Gauss-Legendre quadrature with two points; both have weight 1. It is exact for cubic polynomials.
_POINTS: Final = np.array([-1.0, 1.0]) / np.sqrt(3)


def lms(config: SchedulerConfig, steps: int, start: int) -> CoefficientTable:
    """Table of the steps from `start` on, of `steps`."""
    refuse_zero_snr(config, "lms")
    timesteps, sigma = levels_of_steps(config, steps, config.sigma_spacing)
    weights = np.zeros((steps, TERMS))
    for i in range(start, steps):
        # diffusers takes the order, and with it the weights, from the place in the whole schedule, also where the run
        # begins in its middle; the slopes that are not there yet are left out.
        order, present = min(i + 1, TERMS), min(i + 1 - start, TERMS)
        to = sigma[i + 1] if i + 1 < steps else 0.0
        weights[i, :present] = _weights(sigma[i + 1 - order : i + 1][::-1], to)[:present]
    return tabulate(
        timesteps,
        init_noise_sigma=unscaled_init_noise_sigma(config, sigma[0]),
        level=(1.0, sigma),
        prediction=unscaled_prediction(config, sigma),
        d=unscaled_slope(config, sigma),
        c_in=1 / np.sqrt(sigma**2 + 1),
        A=1.0,
        B=tuple(weights.T),
        push=True,
        first=start,
    )


def _weights(nodes: Vector, to: float) -> Vector:
    """Integrals from `nodes[0]` to `to` of the Lagrange polynomials on `nodes`, at most four of them."""
    half = (to - nodes[0]) / 2
    tau = nodes[0] + half * (1 + _POINTS)
    integrals = np.empty(len(nodes))
    for k, node in enumerate(nodes):
        others = np.delete(nodes, k)
        basis = np.prod((tau[:, None] - others) / (node - others), axis=1)
        integrals[k] = half * basis.sum()
    return integrals
