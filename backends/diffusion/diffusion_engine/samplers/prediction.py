"""Prediction types: how the picture without noise (x0) follows from latents and the UNet's output."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from diffusion_engine.scheduler_config import PredictionType

Vector = npt.NDArray[np.float64]


def predicts_x0(kind: PredictionType, alpha: Vector, sigma: Vector) -> tuple[Vector, Vector]:
    """Coefficients (X, Y) of x0 = X*x + Y*m for latents x = alpha*x0 + sigma*noise with alpha^2 + sigma^2 = 1.

    v-prediction: Salimans and Ho 2022, appendix D.
    """
    match kind:
        case PredictionType.EPSILON:
            return 1 / alpha, -sigma / alpha
        case PredictionType.V_PREDICTION:
            return alpha, -sigma
        case PredictionType.SAMPLE:
            return np.zeros_like(alpha), np.ones_like(alpha)
