"""The text encoders of a family as models: what each puts out, and which of the UNet's inputs that becomes."""

from __future__ import annotations

from dataclasses import dataclass

from tritonclient.grpc.model_config_pb2 import TYPE_FP32

from export.checkpoint import Checkpoint
from export.tensors import Tensor


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """One text encoder; `part` is what its model's and its tensors' names have at the end, "" for the first."""

    part: str
    outputs: tuple[Tensor, ...]

    def feeds(self, prompt: str, output: Tensor) -> str:
        """The UNet's input that an output becomes for `prompt`, PROMPT or NEGATIVE_PROMPT."""
        return f"{prompt}_{output.name}" + (self.part if output.name == "EMBEDDINGS" else "")


def text_encoders(checkpoint: Checkpoint) -> list[TextEncoder]:
    """The checkpoint's text encoders, in the order in which the UNet takes their embeddings."""
    encoders = []
    for index, width in enumerate(checkpoint.text_widths):
        outputs = [Tensor("EMBEDDINGS", TYPE_FP32, (-1, width))]
        if checkpoint.pooled_width is not None and index == len(checkpoint.text_widths) - 1:
            outputs.append(Tensor("POOLED", TYPE_FP32, (checkpoint.pooled_width,)))
        encoders.append(TextEncoder("" if index == 0 else f"_{index + 1}", tuple(outputs)))
    return encoders
