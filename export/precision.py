"""In which numbers a family's graphs compute."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Final

from export.checkpoint import Checkpoint
from export.half_precision import to_half
from export.verification import FP16_TOLERANCE, FP32_TOLERANCE, Tolerance

_VAE_PARTS: Final = ("vae_decoder", "vae_encoder", "inpaint_encoder")


class Precision(StrEnum):
    """FP32, or FP16 inside with FP32 at every boundary: half the memory, and what GPUs are fast at."""

    FP32 = "fp32"
    FP16 = "fp16"

    def of_part(self, part: str, checkpoint: Checkpoint) -> Precision:
        """The precision of one part of the family; a VAE that overflows in FP16 by its own config stays in FP32."""
        config = checkpoint.vae.config
        # diffusers fills the key in, as true, where the checkpoint's file has none; its SD pipelines never read it.
        upcast = config.get("force_upcast") and "force_upcast" not in config.get("_use_default_values", ())
        return Precision.FP32 if part in _VAE_PARTS and upcast else self

    def apply(self, graph: Path) -> None:
        """Rewrites the graph at this path, traced in FP32."""
        if self is Precision.FP16:
            to_half(graph)

    @property
    def tolerance(self) -> Tolerance:
        """How far a graph may be from torch in FP32."""
        return FP16_TOLERANCE if self is Precision.FP16 else FP32_TOLERANCE
