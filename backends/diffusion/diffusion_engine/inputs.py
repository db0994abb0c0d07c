"""What one picture is made of: its settings and its tensors, checked against the UNet that makes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.condition import Condition, ConditionFormat, Text
from diffusion_engine.errors import InvalidRequest
from diffusion_engine.init_image import InitImage
from diffusion_engine.picture import Picture

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """What a UNet takes: latent channels, pixels to a latent, its conditions, and whether it takes a mask itself."""

    channels: int
    vae_scale_factor: int
    condition: ConditionFormat
    takes_conditioning: bool

    def shape(self, picture: Picture) -> tuple[int, int, int]:
        """The shape [C, h, w] of a picture's latents."""
        return self.channels, picture.height // self.vae_scale_factor, picture.width // self.vae_scale_factor


@dataclass(frozen=True, slots=True)
class Inputs:
    """One picture's inputs."""

    picture: Picture
    prompt: Text
    negative: Text | None = None
    init_image: InitImage | None = None

    def check(self, form: LatentFormat) -> None:
        """Raises InvalidRequest, naming the tensor, for what this UNet cannot take."""
        form.condition.check(self.prompt)
        if self.negative is not None:
            self._check_negative(self.negative, form.condition)
        elif self.picture.guided and not form.condition.embeds_guidance:
            raise InvalidRequest("NEGATIVE_PROMPT_EMBEDDINGS is missing; a GUIDANCE_SCALE above 1 needs it.")
        self._check_settings(form.condition)
        if self.init_image is not None:
            self._check_init_image(self.init_image, form.shape(self.picture))
        elif self.picture.strength != 1:
            raise InvalidRequest("STRENGTH needs INIT_MEAN and INIT_STD.")
        if form.takes_conditioning and (self.init_image is None or self.init_image.mask is None):
            raise InvalidRequest("This model only repaints: it needs INIT_MEAN, INIT_STD and LATENT_MASK.")

    def conditions(self, form: ConditionFormat) -> tuple[Condition, Condition | None]:
        """What the picture's rows are conditioned on; the second is None where it takes one row in every step."""
        prompt = form.condition(self.prompt, self.picture)
        if self.negative is None or not self.picture.guided or form.embeds_guidance:
            return prompt, None
        return prompt, form.condition(self.negative, self.picture)

    def _check_negative(self, negative: Text, form: ConditionFormat) -> None:
        shape, expected = negative.embeddings.shape, self.prompt.embeddings.shape
        if shape != expected:
            raise InvalidRequest(
                f"NEGATIVE_PROMPT_EMBEDDINGS has the shape {shape}; it must be that of PROMPT_EMBEDDINGS, {expected}."
            )
        form.check(negative, "NEGATIVE_")

    def _check_settings(self, form: ConditionFormat) -> None:
        picture = self.picture
        if picture.time_ids is not None and len(picture.time_ids) != form.time_ids:
            raise InvalidRequest(
                f"TIME_IDS holds {len(picture.time_ids)} numbers; this model takes {form.time_ids or 'none'}."
            )
        if form.embeds_guidance and (picture.guidance_from, picture.guidance_until) != (0, 1):
            raise InvalidRequest(
                "This model takes its guidance as one number for the whole schedule: leave GUIDANCE_INTERVAL out."
            )

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
