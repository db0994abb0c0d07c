"""Where a generation starts: its initial latents, and what it keeps of its init image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.init_image import InitImage
from diffusion_engine.noise import NoiseStream, slerp
from diffusion_engine.picture import Picture
from diffusion_engine.tables import StepTable

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class KnownRegion:
    """What masked re-noising keeps: after every step the region outside the mask is the init image at that noise level.

    `latent_mask` is float32 [1, h, w], 1 = repaint; `clean` and `noise` are float32 [C, h, w].
    """

    latent_mask: Array
    clean: Array
    noise: Array

    def blend(self, latents: Array, signal: np.float32, noise: np.float32) -> Array:
        """`latents` inside the mask, the known picture with that much signal and noise outside it."""
        known: Array = self.clean * signal + self.noise * noise
        blended: Array = known + self.latent_mask * (latents - known)
        return blended


@dataclass(frozen=True, slots=True)
class Start:
    """Initial latents [C, h, w], the noise stream behind them, and what inpainting needs besides.

    `conditioning` [1 + C, h, w] is the mask with the latents of the masked picture, for UNets that take them.
    """

    latents: Array
    noise: NoiseStream
    known: KnownRegion | None = None
    conditioning: Array | None = None


def start_from_noise(picture: Picture, table: StepTable, shape: tuple[int, ...]) -> Start:
    """Text-to-image: unit noise times the first sigma, as `prepare_latents` of StableDiffusionPipeline."""
    noise = NoiseStream(picture.seed)
    return Start(_initial_noise(picture, noise, shape) * np.float32(table.init_noise_sigma), noise)


def start_from_image(
    picture: Picture, table: StepTable, init: InitImage, scaling_factor: float, takes_conditioning: bool
) -> Start:
    """Image-to-image and inpainting, drawing in the order of StableDiffusionImg2ImgPipeline and ..InpaintPipeline.

    These are the init image, the noise, then the masked image. An inpainting UNet (`takes_conditioning`) at full
    strength needs no init image, and the pipeline then does not draw for it.
    """
    noise = NoiseStream(picture.seed)
    shape = init.posterior.mean.shape
    from_noise = init.mask is not None and picture.strength == 1
    clean: Array | None = None
    if not (from_noise and takes_conditioning):
        clean = init.posterior.sample(noise, scaling_factor)
    initial = _initial_noise(picture, noise, shape)
    if from_noise or clean is None:
        latents = initial * np.float32(table.init_noise_sigma)
    else:
        latents = np.float32(table.init_signal) * clean + np.float32(table.init_noise) * initial
    if init.mask is None:
        return Start(latents, noise)
    masked = init.mask.masked.sample(noise, scaling_factor)
    if takes_conditioning or clean is None:
        return Start(latents, noise, conditioning=np.concatenate([init.mask.latent_mask, masked]))
    return Start(latents, noise, known=KnownRegion(init.mask.latent_mask, clean, initial))


def _initial_noise(picture: Picture, noise: NoiseStream, shape: tuple[int, ...]) -> Array:
    initial = noise.normal(shape)
    if picture.variation_seed is None:
        return initial
    return slerp(initial, NoiseStream(picture.variation_seed).normal(shape), picture.variation_strength)
