"""The tensors that several of a family's models declare under the same name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tritonclient.grpc.model_config_pb2 import (
    TYPE_FP32,
    TYPE_INT32,
    TYPE_INT64,
    TYPE_STRING,
    TYPE_UINT8,
    ModelConfig,
)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of a model: its name, Triton's type of its elements, its dims without the batch, -1 where they vary."""

    name: str
    type: int
    dims: tuple[int, ...]
    optional: bool = False


PROMPTS: Final = (
    Tensor("PROMPT", TYPE_STRING, (1,)),
    Tensor("NEGATIVE_PROMPT", TYPE_STRING, (1,), optional=True),
)
# What a person asks for, as an ensemble takes it and the UNet's engine reads it. A picture made from a picture has the
# size of that one.
SIZES: Final = (
    Tensor("WIDTH", TYPE_INT32, (1,), optional=True),
    Tensor("HEIGHT", TYPE_INT32, (1,), optional=True),
)
SETTINGS: Final = (
    Tensor("SEED", TYPE_INT64, (1,)),
    Tensor("STEPS", TYPE_INT32, (1,), optional=True),
    Tensor("GUIDANCE_SCALE", TYPE_FP32, (1,), optional=True),
    Tensor("GUIDANCE_INTERVAL", TYPE_FP32, (2,), optional=True),
    Tensor("SAMPLER", TYPE_STRING, (1,), optional=True),
    Tensor("VARIATION_SEED", TYPE_INT64, (1,), optional=True),
    Tensor("VARIATION_STRENGTH", TYPE_FP32, (1,), optional=True),
    Tensor("PRIORITY", TYPE_INT32, (1,), optional=True),
)
STRENGTH: Final = Tensor("STRENGTH", TYPE_FP32, (1,))
IMAGE: Final = Tensor("IMAGE", TYPE_UINT8, (-1, -1, 3))
UPSCALED: Final = Tensor("UPSCALED", IMAGE.type, IMAGE.dims)
INIT_IMAGE: Final = Tensor("INIT_IMAGE", IMAGE.type, IMAGE.dims)
MASK: Final = Tensor("MASK", TYPE_UINT8, (-1, -1, 1))
LATENT_MASK: Final = Tensor("LATENT_MASK", TYPE_FP32, (1, -1, -1))
INFO: Final = Tensor("INFO", TYPE_STRING, (1,))


def latents(name: str, channels: int) -> Tensor:
    """A tensor in the latent space."""
    return Tensor(name, TYPE_FP32, (channels, -1, -1))


def declare(config: ModelConfig, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
    """Writes the tensors into a model's configuration."""
    for tensor in inputs:
        config.input.add(name=tensor.name, data_type=tensor.type, dims=tensor.dims, optional=tensor.optional)
    for tensor in outputs:
        config.output.add(name=tensor.name, data_type=tensor.type, dims=tensor.dims)
