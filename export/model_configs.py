"""`config.pbtxt` of the models that a family is composed of, as Triton's own protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_INT64, TYPE_STRING, ModelConfig, ModelInstanceGroup

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
    UPSCALED,
    Tensor,
    declare,
    latents,
)

# What a family's composing models are called, behind its name. Not every family has all of them.
PARTS: Final = ("tokenizer", "text_encoder", "unet", "vae_decoder", "vae_encoder", "inpaint_encoder")
MAX_BATCH_SIZE: Final = 16

# What the versions of a model have in common: a version is loaded before its own configuration is the model's. Limits
# and defaults may differ.
WEIGHT_PARAMETERS: Final = (
    "samplers",
    "window",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "latent_channels",
    "unet_channels",
    "vae_scale_factor",
    "scaling_factor",
)
MAX_WINDOWS: Final = 4
_MAX_WAITING: Final = 256
# ONNX Runtime takes all cores.
_THREADS: Final = {"intra_op_thread_count": "0"}


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
    config = _batched(name, [IMAGE], [UPSCALED])
    config.max_batch_size = max_batch_size
    set_parameters(config, parameters)
    return config


def composing_models(checkpoint: Checkpoint, parameters: FamilyParameters) -> dict[str, ModelConfig]:
    """The models that the family's ensembles are composed of, by their part in them (see PARTS)."""
    channels = checkpoint.latent_channels
    final = latents("LATENTS", channels)
    ids = Tensor("INPUT_IDS", TYPE_INT64, (-1,))
    embeddings = Tensor("EMBEDDINGS", TYPE_FP32, (-1, checkpoint.text_width))
    posterior = [latents(name, channels) for name in ("MEAN", "STD")]
    masked_posterior = [latents(name, channels) for name in ("MASKED_MEAN", "MASKED_STD")]
    names = {part: f"{parameters.family}_{part}" for part in PARTS}
    models = {
        "tokenizer": _tokenizer(names["tokenizer"], checkpoint),
        "text_encoder": _cached(_batched(names["text_encoder"], [ids], [embeddings])),
        "unet": _unet(names["unet"], checkpoint, parameters),
        "vae_decoder": _batched(names["vae_decoder"], [final], [IMAGE]),
        "vae_encoder": _batched(names["vae_encoder"], [IMAGE], posterior),
        "inpaint_encoder": _batched(
            names["inpaint_encoder"], [IMAGE, MASK], [*posterior, *masked_posterior, LATENT_MASK]
        ),
    }
    if "image-to-image" not in parameters.capabilities:
        del models["vae_encoder"]
    return models


def _tokenizer(name: str, checkpoint: Checkpoint) -> ModelConfig:
    tokenizer = checkpoint.tokenizer
    return _model(
        name,
        "clip_tokenizer",
        PROMPTS,
        [
            Tensor("PROMPT_IDS", TYPE_INT64, (-1,)),
            Tensor("NEGATIVE_PROMPT_IDS", TYPE_INT64, (-1,)),
            # What of both texts has no room in the last window. Made only where it is asked for.
            Tensor("DROPPED", TYPE_STRING, (2,)),
        ],
        {
            "window": str(checkpoint.window),
            "max_windows": str(MAX_WINDOWS),
            "bos_token_id": str(tokenizer.bos_token_id),
            "eos_token_id": str(tokenizer.eos_token_id),
            "pad_token_id": str(tokenizer.pad_token_id),
        },
    )


def _unet(name: str, checkpoint: Checkpoint, parameters: FamilyParameters) -> ModelConfig:
    embeddings = (-1, checkpoint.text_width)
    channels = checkpoint.latent_channels
    inputs = [
        Tensor("PROMPT_EMBEDDINGS", TYPE_FP32, embeddings),
        Tensor("NEGATIVE_PROMPT_EMBEDDINGS", TYPE_FP32, embeddings),
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
