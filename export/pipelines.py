"""The diffusers pipelines whose checkpoints can be exported, and what each is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from diffusers import (
    LatentConsistencyModelPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)

_TOKENIZERS: Final = ("CLIPTokenizer", "CLIPTokenizerFast")


@dataclass(frozen=True, slots=True)
class PipelineKind:
    """One pipeline class of diffusers.

    `components` names the classes of each component that the exported graphs are written for; the scheduler is checked
    by its config's keys. `addition_embed_type` is what its UNet must have, `left_out` what is not loaded.
    """

    pipeline: Any
    components: Mapping[str, tuple[str, ...]]
    addition_embed_type: str | None
    left_out: Mapping[str, object]

    @property
    def text_parts(self) -> tuple[str, ...]:
        """What its text encoders' components have behind their names, "" for the first."""
        return ("", "_2") if "text_encoder_2" in self.components else ("",)


_COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "tokenizer": _TOKENIZERS,
    "text_encoder": ("CLIPTextModel",),
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "scheduler": (),
}
_XL_COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {
    **_COMPONENTS,
    "tokenizer_2": _TOKENIZERS,
    "text_encoder_2": ("CLIPTextModelWithProjection",),
}
_LEFT_OUT: Final[Mapping[str, object]] = {"feature_extractor": None, "image_encoder": None}
_CHECKER_LEFT_OUT: Final[Mapping[str, object]] = {
    **_LEFT_OUT,
    "safety_checker": None,
    "requires_safety_checker": False,
}

# Each checkpoint is loaded by its own: they correct different mistakes in a scheduler's config.
KINDS: Final[Mapping[str, PipelineKind]] = MappingProxyType(
    {
        pipeline.__name__: PipelineKind(pipeline, components, addition, left_out)
        for pipeline, components, addition, left_out in (
            (StableDiffusionPipeline, _COMPONENTS, None, _CHECKER_LEFT_OUT),
            (StableDiffusionInpaintPipeline, _COMPONENTS, None, _CHECKER_LEFT_OUT),
            (LatentConsistencyModelPipeline, _COMPONENTS, None, _CHECKER_LEFT_OUT),
            (StableDiffusionXLPipeline, _XL_COMPONENTS, "text_time", _LEFT_OUT),
            (StableDiffusionXLInpaintPipeline, _XL_COMPONENTS, "text_time", _LEFT_OUT),
        )
    }
)
