"""LoRAs: small changes of weights from files of their own, added to a checkpoint's weights for good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import InvalidLora, InvalidOption


@dataclass(frozen=True, slots=True)
class Lora:
    """A file in any form that diffusers reads, and how strongly it is added."""

    file: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Lora:
        """Reads FILE:WEIGHT, or FILE alone for weight 1; raises InvalidOption for a weight that is no number."""
        file, colon, weight = text.rpartition(":")
        if not colon:
            return cls(Path(text))
        try:
            parsed = float(weight)
        except ValueError:
            parsed = math.nan
        if not file or not math.isfinite(parsed):
            raise InvalidOption(
                f"The LoRA {text!r} has no weight behind its colon; write FILE:WEIGHT, as in my.safetensors:0.8."
            )
        return cls(Path(file), parsed)


def fuse(pipeline: Any, loras: Sequence[Lora]) -> None:
    """Adds the LoRAs to the weights of a pipeline's UNet and text encoders.

    Raises InvalidLora for a file that is none, or is one for other models than these.
    """
    for lora in loras:
        if not lora.file.is_file():
            raise InvalidLora(f"The LoRA {str(lora.file)!r} is no file; give a .safetensors file.")
        try:
            pipeline.load_lora_weights(str(lora.file.parent), weight_name=lora.file.name)
        except Exception as error:
            # As with checkpoints: what is wrong with a file decides which of many exceptions comes.
            reason = str(error).strip().partition("\n")[0]
            raise InvalidLora(f"The LoRA {str(lora.file)!r} does not fit this checkpoint: {reason}") from error
        changed = list(pipeline.get_list_adapters())
        if not changed:
            raise InvalidLora(
                f"The LoRA {str(lora.file)!r} changes nothing in this checkpoint; it is for another kind of model."
            )
        pipeline.fuse_lora(components=changed, lora_scale=lora.weight)
        pipeline.unload_lora_weights()
