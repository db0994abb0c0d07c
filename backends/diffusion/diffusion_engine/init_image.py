"""The picture that a generation starts from, as the VAE's encoder gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.errors import InvalidRequest
from diffusion_engine.noise import NoiseStream

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Posterior:
    """The encoder's Gaussian over latents: mean and standard deviation, float32 [C, h, w], unscaled."""

    mean: Array
    deviation: Array

    def sample(self, noise: NoiseStream, scaling_factor: float) -> Array:
        """Draws latents in the UNet's scale, as `AutoencoderKL.encode(..).latent_dist.sample` of diffusers does."""
        drawn = self.mean + self.deviation * noise.normal(self.mean.shape)
        return drawn * np.float32(scaling_factor)


@dataclass(frozen=True, slots=True)
class Mask:
    """What is repainted: `latent_mask` is float32 [1, h, w], 1 = repaint; `masked` encodes the picture without it."""

    latent_mask: Array
    masked: Posterior


@dataclass(frozen=True, slots=True)
class InitImage:
    """An encoded init image, with a mask for inpainting."""

    posterior: Posterior
    mask: Mask | None = None


INIT_TENSORS = ("INIT_MEAN", "INIT_STD", "LATENT_MASK", "MASKED_MEAN", "MASKED_STD")


def init_images(tensors: Mapping[str, Array | None]) -> list[InitImage] | None:
    """One init image for each row of the tensors named in INIT_TENSORS, each [rows, ..]; None where all are absent.

    Raises InvalidRequest where some are given without the others they belong to.
    """
    given = {name for name, tensor in tensors.items() if tensor is not None}
    if not given:
        return None
    if given != set(INIT_TENSORS[:2]) and given != set(INIT_TENSORS):
        raise InvalidRequest(
            f"{', '.join(sorted(given))} came alone; an init image needs INIT_MEAN and INIT_STD, and a mask all of "
            f"{', '.join(INIT_TENSORS)}."
        )
    columns = [tensor for name in INIT_TENSORS if (tensor := tensors[name]) is not None]
    return [_init_image(*row) for row in zip(*columns, strict=True)]


def _init_image(mean: Array, deviation: Array, *mask: Array) -> InitImage:
    if not mask:
        return InitImage(Posterior(mean, deviation))
    latent_mask, masked_mean, masked_deviation = mask
    return InitImage(Posterior(mean, deviation), Mask(latent_mask, Posterior(masked_mean, masked_deviation)))
