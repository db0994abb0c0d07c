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
    if not loras:
        return
    names = [f"lora_{number}" for number in range(len(loras))]
    for name, lora in zip(names, loras, strict=True):
        if not lora.file.is_file():
            raise InvalidLora(f"The LoRA {str(lora.file)!r} is no file; give a .safetensors file.")
        try:
            pipeline.load_lora_weights(str(lora.file.parent), weight_name=lora.file.name, adapter_name=name)
        except Exception as error:
            # As with checkpoints: what is wrong with a file decides which of many exceptions comes.
            reason = str(error).strip().partition("\n")[0]
            raise InvalidLora(f"The LoRA {str(lora.file)!r} does not fit this checkpoint: {reason}") from error
        if not any(name in adapters for adapters in pipeline.get_list_adapters().values()):
            raise InvalidLora(
                f"The LoRA {str(lora.file)!r} changes nothing in this checkpoint; it was for another kind of model."
            )
    pipeline.set_adapters(names, [lora.weight for lora in loras])
    # The components that some LoRA changes.
    pipeline.fuse_lora(components=list(pipeline.get_list_adapters()), adapter_names=names)
    pipeline.unload_lora_weights()
