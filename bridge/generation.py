"""A valid wish for one picture, as tensors for Triton."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bridge.families import Capability, Family
from bridge.prompts.prompt_origin import PromptOrigin
from bridge.sizes import Size

SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Variation:
    """How far a picture leaves its seed: `strength` 0 (not at all) to 1, towards the noise of `seed`."""

    seed: int
    strength: float


@dataclass(frozen=True, slots=True)
class Generation:
    """One picture to be made by one family; every value is within the family's limits.

    The prompts are those that are sent to the model; `prompt_origin` tells what they were made of. `generated_size` is
    what the family makes, `size` what was asked for, `upscale` how many times larger than that the finished picture is.
    """

    family: Family
    capability: Capability
    requested_model: str
    prompt: str
    negative_prompt: str
    prompt_origin: PromptOrigin
    size: Size
    generated_size: Size
    steps: int
    guidance_scale: float
    guidance_interval: tuple[float, float]
    sampler: str
    seed: int
    priority: int
    output_format: str
    upscale: int = 1
    strength: float | None = None
    variation: Variation | None = None

    @property
    def ensemble(self) -> str:
        """The name of the family's ensemble that makes this picture."""
        return self.family.ensembles[self.capability]

    @property
    def finished_size(self) -> Size:
        """The size of the file that the client gets."""
        return Size(self.size.width * self.upscale, self.size.height * self.upscale)

    def resized(self, size: Size) -> "Generation":
        """The same picture at another size; it is generated at the nearest one that the family can make."""
        return replace(self, size=size, generated_size=self.family.sizes.nearest(size))

    def made_by(self, version: int) -> "Generation":
        """The same picture, made by that version of the family."""
        return replace(self, family=replace(self.family, version=version))

    def varied(self, number: int, strength: float) -> "Generation":
        """The `number`-th variation (from 1): at strength 1 it is the picture of the seed `number` further on."""
        return replace(self, variation=Variation((self.seed + number) % SEEDS, strength))

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The input tensors of the ensemble, except for pictures, with a batch dimension of 1."""
        tensors: dict[str, NDArray[np.generic]] = {
            "PROMPT": _text(self.prompt),
            "NEGATIVE_PROMPT": _text(self.negative_prompt),
            "SEED": np.array([[self.seed]], np.int64),
            "STEPS": np.array([[self.steps]], np.int32),
            "GUIDANCE_SCALE": np.array([[self.guidance_scale]], np.float32),
            "GUIDANCE_INTERVAL": np.array([self.guidance_interval], np.float32),
            "SAMPLER": _text(self.sampler),
            "PRIORITY": np.array([[self.priority]], np.int32),
        }
        if self.strength is None:
            tensors["WIDTH"] = np.array([[self.generated_size.width]], np.int32)
            tensors["HEIGHT"] = np.array([[self.generated_size.height]], np.int32)
        else:
            tensors["STRENGTH"] = np.array([[self.strength]], np.float32)
        if self.variation is not None:
            tensors["VARIATION_SEED"] = np.array([[self.variation.seed]], np.int64)
            tensors["VARIATION_STRENGTH"] = np.array([[self.variation.strength]], np.float32)
        return tensors


def _text(value: str) -> NDArray[np.generic]:
    return np.array([[value.encode()]], np.object_)
