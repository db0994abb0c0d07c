"""What a UNet row is conditioned on besides its latents and timestep: text, sizes and, in some models, guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.picture import Picture

Array = npt.NDArray[np.float32]

TEXT: Final = "encoder_hidden_states"
_POOLED: Final = "text_embeds"
_TIME_IDS: Final = "time_ids"
_GUIDANCE: Final = "timestep_cond"

Condition = Mapping[str, Array]
"""One row of each of the graph's inputs but `sample` and `timestep`, by the names that diffusers gives them."""


@dataclass(frozen=True, slots=True)
class Text:
    """An encoded prompt: `embeddings` are float32 [T, D], `pooled` is float32 [P] where the model takes it."""

    embeddings: Array
    pooled: Array | None = None


@dataclass(frozen=True, slots=True)
class ConditionFormat:
    """The width of each row that a UNet takes; None where its graph has no such input.

    `time_ids` counts the numbers of SDXL's micro-conditioning, `guidance_width` is that of the embedding of the
    guidance scale, which guidance-distilled models (LCM) take instead of a second row.
    """

    text_width: int
    pooled_width: int | None = None
    time_ids: int | None = None
    guidance_width: int | None = None

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int | None, ...]]) -> ConditionFormat:
        """Reads the shapes that a session found in its graph; raises UnsupportedConfig for an input not known here."""
        unknown = set(shapes) - {TEXT, _POOLED, _TIME_IDS, _GUIDANCE}
        if unknown or TEXT not in shapes:
            raise UnsupportedConfig(
                f"The UNet's graph takes {', '.join(sorted(shapes))}; the engine feeds {TEXT} and, where it takes "
                f"them, {_POOLED}, {_TIME_IDS} and {_GUIDANCE}. Export the family again."
            )
        widths = {name: shape[-1] for name, shape in shapes.items()}
        text_width = widths[TEXT]
        if text_width is None:
            raise UnsupportedConfig(f"The UNet's graph leaves the width of {TEXT} open. Export the family again.")
        return cls(text_width, widths.get(_POOLED), widths.get(_TIME_IDS), widths.get(_GUIDANCE))

    @property
    def embeds_guidance(self) -> bool:
        """Whether the guidance scale is an input of the UNet, so that a picture never takes a second row."""
        return self.guidance_width is not None

    def check(self, text: Text, prefix: str = "") -> None:
        """Raises InvalidRequest, naming the tensor, for a text that this UNet cannot take."""
        shape = text.embeddings.shape
        if len(shape) != 2 or shape[1] != self.text_width:
            raise InvalidRequest(
                f"{prefix}PROMPT_EMBEDDINGS has the shape {shape}; it must be (tokens, {self.text_width})."
            )
        expected = None if self.pooled_width is None else (self.pooled_width,)
        pooled = None if text.pooled is None else text.pooled.shape
        if pooled != expected:
            raise InvalidRequest(f"{prefix}PROMPT_POOLED has the shape {pooled}; it must be {expected}.")

    def condition(self, text: Text, picture: Picture) -> Condition:
        """The rows of a picture with this text."""
        rows = {TEXT: text.embeddings}
        if text.pooled is not None:
            rows[_POOLED] = text.pooled
        if self.time_ids is not None:
            rows[_TIME_IDS] = np.array(picture.time_ids or default_time_ids(picture), np.float32)
        if self.guidance_width is not None:
            rows[_GUIDANCE] = embed_guidance(picture.guidance_scale, self.guidance_width)
        return rows


def default_time_ids(picture: Picture) -> tuple[float, ...]:
    """Original size, crop and target size of a picture that was neither resized nor cropped.

    As `_get_add_time_ids` of diffusers' StableDiffusionXLPipeline; each is height before width.
    """
    return picture.height, picture.width, 0, 0, picture.height, picture.width


def embed_guidance(scale: float, width: int) -> Array:
    """The sinusoidal embedding [width] of a guidance scale.

    As `get_guidance_scale_embedding` of diffusers' LatentConsistencyModelPipeline, which embeds the scale less 1.
    """
    half = width // 2
    frequencies = np.exp(np.arange(half, dtype=np.float32) * -(np.log(np.float32(10000)) / np.float32(half - 1)))
    angles = np.float32(scale - 1) * np.float32(1000) * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles), np.zeros(width % 2, np.float32)])
