"""How alike two pictures are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Similarity:
    """PSNR in dB, infinite for equal pictures, and SSIM, 1 for equal ones (Wang et al. 2004)."""

    psnr: float
    ssim: float

    @classmethod
    def of(cls, picture: Picture, reference: Picture) -> Similarity:
        """Compares pictures [H, W, 3] of the same size, at least 11 pixels a side."""
        error = np.mean((picture.astype(np.float64) - reference.astype(np.float64)) ** 2)
        psnr = 10 * math.log10(255**2 / error) if error else math.inf
        # The paper's window and weights.
        ssim = structural_similarity(
            picture, reference, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        return cls(psnr, float(ssim))

    def __str__(self) -> str:
        return f"{self.psnr:.1f} dB, SSIM {self.ssim:.3f}"
