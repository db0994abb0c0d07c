"""What one picture is made of: its settings and its tensors, checked against the UNet that makes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.errors import InvalidRequest
from diffusion_engine.init_image import InitImage
from diffusion_engine.picture import Picture

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """What a UNet takes: latent channels, pixels to a latent, width of the text, and whether it takes a mask itself."""

    channels: int
    vae_scale_factor: int
    text_width: int
    takes_conditioning: bool

    def shape(self, picture: Picture) -> tuple[int, int, int]:
        """The shape [C, h, w] of a picture's latents."""
        return self.channels, picture.height // self.vae_scale_factor, picture.width // self.vae_scale_factor


@dataclass(frozen=True, slots=True)
class Inputs:
    """One picture's inputs; embeddings are float32 [T, D]."""

    picture: Picture
    prompt_embeddings: Array
    negative_embeddings: Array | None = None
    init_image: InitImage | None = None

    def check(self, form: LatentFormat) -> None:
        """Raises InvalidRequest, naming the tensor, for what this UNet cannot take."""
        prompt, negative = self.prompt_embeddings, self.negative_embeddings
        if prompt.ndim != 2 or prompt.shape[1] != form.text_width:
            raise InvalidRequest(
                f"PROMPT_EMBEDDINGS has the shape {prompt.shape}; it must be (tokens, {form.text_width})."
            )
        if negative is not None and negative.shape != prompt.shape:
            raise InvalidRequest(
                f"NEGATIVE_PROMPT_EMBEDDINGS has the shape {negative.shape}; "
                f"it must be that of PROMPT_EMBEDDINGS, {prompt.shape}."
            )
        if negative is None and self.picture.guided:
            raise InvalidRequest("NEGATIVE_PROMPT_EMBEDDINGS is missing; a GUIDANCE_SCALE above 1 needs it.")
        if self.init_image is not None:
            self._check_init_image(self.init_image, form.shape(self.picture))
        elif self.picture.strength != 1:
            raise InvalidRequest("STRENGTH needs INIT_MEAN and INIT_STD.")
        if form.takes_conditioning and (self.init_image is None or self.init_image.mask is None):
            raise InvalidRequest("This model only repaints: it needs INIT_MEAN, INIT_STD and LATENT_MASK.")

    @staticmethod
    def _check_init_image(init: InitImage, shape: tuple[int, int, int]) -> None:
        tensors = {"INIT_MEAN": (init.posterior.mean, shape), "INIT_STD": (init.posterior.deviation, shape)}
        if init.mask is not None:
            tensors["LATENT_MASK"] = (init.mask.latent_mask, (1, *shape[1:]))
            tensors["MASKED_MEAN"] = (init.mask.masked.mean, shape)
            tensors["MASKED_STD"] = (init.mask.masked.deviation, shape)
        for name, (tensor, expected) in tensors.items():
            if tensor.shape != expected:
                raise InvalidRequest(f"{name} has the shape {tensor.shape}; it must be {expected}.")
