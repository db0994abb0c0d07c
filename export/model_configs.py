"""`config.pbtxt` of the models that a family is composed of, as Triton's own protobuf messages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from tritonclient.grpc.model_config_pb2 import TYPE_INT64, TYPE_STRING, ModelConfig, ModelInstanceGroup

from export.checkpoint import Checkpoint
from export.family_parameters import FamilyParameters
from export.tensors import (
    IMAGE,
    INFO,
    LATENT_MASK,
    MASK,
    PROMPTS,
    SETTINGS,
    SIZES,
    STRENGTH,
    TIME_IDS,
    UPSCALED,
    Tensor,
    declare,
    latents,
)
from export.text_encoders import text_encoders

# What a family's composing models are called, behind its name. Not every family has all of them.
PARTS: Final = (
    "tokenizer",
    "text_encoder",
    "text_encoder_2",
    "unet",
    "vae_decoder",
    "vae_encoder",
    "inpaint_encoder",
)
MAX_BATCH_SIZE: Final = 16

# What the versions of a model have in common: a version is loaded before its own configuration is the model's. Limits
# and defaults may differ.
WEIGHT_PARAMETERS: Final = (
    "samplers",
    "window",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "bos_token_id_2",
    "eos_token_id_2",
    "pad_token_id_2",
    "zeros_for_empty_prompt",
    "latent_channels",
    "unet_channels",
    "vae_scale_factor",
    "scaling_factor",
)
MAX_WINDOWS: Final = 4
_MAX_WAITING: Final = 256
# ONNX Runtime takes all cores.
_THREADS: Final = {"intra_op_thread_count": "0"}
# What graphs of pictures need for a moment grows with the batch and its pixels: it is given back after each,
# and no plan is kept for every shape seen. (README of Triton's onnxruntime_backend, "Model Config Options".)
_SPARE_MEMORY: Final = {"enable_mem_pattern": "0", "memory.enable_memory_arena_shrinkage": "cpu:0"}


def set_parameters(config: ModelConfig, parameters: Mapping[str, str]) -> None:
    """Adds the parameters to the configuration, as text."""
    for key, value in parameters.items():
        config.parameters[key].string_value = value


def catalog() -> ModelConfig:
    """The model that tells a front which families the repository holds."""
    return _model(
        "catalog",
        "catalog",
        [Tensor("QUERY", TYPE_STRING, (1,))],
        [Tensor("CATALOG", TYPE_STRING, (1,))],
    )


def upscaler(name: str, parameters: Mapping[str, str], max_batch_size: int) -> ModelConfig:
    """The model that enlarges pictures of any family, tile by tile."""
    config = _of_pictures(name, [IMAGE], [UPSCALED])
    config.max_batch_size = max_batch_size
    set_parameters(config, parameters)
    return config


def composing_models(checkpoint: Checkpoint, parameters: FamilyParameters) -> dict[str, ModelConfig]:
    """The models that the family's ensembles are composed of, by their part in them (see PARTS)."""
    channels = checkpoint.latent_channels
    final = latents("LATENTS", channels)
    ids = Tensor("INPUT_IDS", TYPE_INT64, (-1,))
    posterior = [latents(name, channels) for name in ("MEAN", "STD")]
    masked_posterior = [latents(name, channels) for name in ("MASKED_MEAN", "MASKED_STD")]
    names = {part: f"{parameters.family}_{part}" for part in PARTS}
    models = {
        "tokenizer": _tokenizer(names["tokenizer"], checkpoint),
        **{
            f"text_encoder{encoder.part}": _cached(
                _batched(names[f"text_encoder{encoder.part}"], [ids], encoder.outputs)
            )
            for encoder in text_encoders(checkpoint)
        },
        "unet": _unet(names["unet"], checkpoint, parameters),
        "vae_decoder": _of_pictures(names["vae_decoder"], [final], [IMAGE]),
        "vae_encoder": _of_pictures(names["vae_encoder"], [IMAGE], posterior),
        "inpaint_encoder": _of_pictures(
            names["inpaint_encoder"], [IMAGE, MASK], [*posterior, *masked_posterior, LATENT_MASK]
        ),
    }
    if "image-to-image" not in parameters.capabilities:
        del models["vae_encoder"]
    return models


def _tokenizer(name: str, checkpoint: Checkpoint) -> ModelConfig:
    outputs: list[Tensor] = []
    parameters = {"window": str(checkpoint.window), "max_windows": str(MAX_WINDOWS)}
    for encoder, tokenizer in zip(text_encoders(checkpoint), checkpoint.tokenizers, strict=True):
        outputs += [Tensor(f"{prompt.name}_IDS{encoder.part}", TYPE_INT64, (-1,)) for prompt in PROMPTS]
        for token in ("bos_token_id", "eos_token_id", "pad_token_id"):
            parameters[f"{token}{encoder.part}"] = str(getattr(tokenizer, token))
    # What of both texts has no room in the last window. Made only where it is asked for.
    outputs.append(Tensor("DROPPED", TYPE_STRING, (2,)))
    if checkpoint.is_xl:
        parameters["zeros_for_empty_prompt"] = json.dumps(checkpoint.zeros_for_empty_prompt)
    return _model(name, "clip_tokenizer", PROMPTS, outputs, parameters)


def _unet(name: str, checkpoint: Checkpoint, parameters: FamilyParameters) -> ModelConfig:
    channels = checkpoint.latent_channels
    inputs = [
        *(
            Tensor(encoder.feeds(prompt.name, output), output.type, output.dims)
            for encoder in text_encoders(checkpoint)
            for prompt in PROMPTS
            for output in encoder.outputs
        ),
        *([TIME_IDS] if checkpoint.is_xl else []),
        *SIZES,
        *SETTINGS,
        STRENGTH,
        *(latents(each, channels) for each in ("INIT_MEAN", "INIT_STD", "MASKED_MEAN", "MASKED_STD")),
        LATENT_MASK,
        Tensor("CONTROL", TYPE_STRING, (1,)),
    ]
    return _model(
        name,
        "diffusion",
        # All optional, so that a control request can come without a generation's inputs.
        [Tensor(tensor.name, tensor.type, tensor.dims, optional=True) for tensor in inputs],
        [latents("LATENTS", channels), INFO, Tensor("STATUS", TYPE_STRING, (1,)), latents("PREVIEW", channels)],
        {
            **parameters.engine_strings(),
            **_THREADS,
            "providers": "cpu",
            "max_waiting": str(_MAX_WAITING),
            "latent_channels": str(channels),
            "unet_channels": str(checkpoint.unet_channels),
            "vae_scale_factor": str(checkpoint.vae_scale_factor),
            "scaling_factor": str(checkpoint.scaling_factor),
        },
    )


def _batched(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> ModelConfig:
    config = _model(name, "onnxruntime", inputs, outputs, _THREADS)
    config.dynamic_batching.SetInParent()
    return config


def _of_pictures(name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> ModelConfig:
    config = _batched(name, inputs, outputs)
    set_parameters(config, _SPARE_MEMORY)
    return config


def _cached(config: ModelConfig) -> ModelConfig:
    """Most requests share their negative prompt, and many their prompt; a Triton without a cache only warns."""
    config.response_cache.enable = True
    return config


def _model(
    name: str,
    backend: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str] | None = None,
) -> ModelConfig:
    config = ModelConfig(name=name, backend=backend, max_batch_size=MAX_BATCH_SIZE)
    config.version_policy.all.SetInParent()
    # Written out, because Triton's default is two instances for a backend called onnxruntime.
    config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_CPU)
    declare(config, inputs, outputs)
    set_parameters(config, parameters or {})
    return config
