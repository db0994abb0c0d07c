"""`config.pbtxt` of every model of a family, as Triton's own protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import (
    TYPE_FP32,
    TYPE_INT32,
    TYPE_INT64,
    TYPE_STRING,
    TYPE_UINT8,
    ModelConfig,
    ModelInstanceGroup,
)

from export.checkpoint import Checkpoint
from export.family_parameters import FamilyParameters

# What a family's composing models are called, behind its name.
PARTS: Final = ("tokenizer", "text_encoder", "unet", "vae_decoder", "vae_encoder")
MAX_BATCH_SIZE: Final = 16

_MAX_WINDOWS: Final = 4
_MAX_WAITING: Final = 256
# ONNX Runtime takes all cores.
_THREADS: Final = {"intra_op_thread_count": "0"}


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    type: int
    dims: tuple[int, ...]
    optional: bool = False


# What a person asks for, as the ensemble takes it and the UNet's engine reads it.
_SETTINGS: Final = (
    _Tensor("SEED", TYPE_INT64, (1,)),
    _Tensor("WIDTH", TYPE_INT32, (1,), optional=True),
    _Tensor("HEIGHT", TYPE_INT32, (1,), optional=True),
    _Tensor("STEPS", TYPE_INT32, (1,), optional=True),
    _Tensor("GUIDANCE_SCALE", TYPE_FP32, (1,), optional=True),
    _Tensor("GUIDANCE_INTERVAL", TYPE_FP32, (2,), optional=True),
    _Tensor("SAMPLER", TYPE_STRING, (1,), optional=True),
    _Tensor("VARIATION_SEED", TYPE_INT64, (1,), optional=True),
    _Tensor("VARIATION_STRENGTH", TYPE_FP32, (1,), optional=True),
    _Tensor("PRIORITY", TYPE_INT32, (1,), optional=True),
)
_PROMPTS: Final = (
    _Tensor("PROMPT", TYPE_STRING, (1,)),
    _Tensor("NEGATIVE_PROMPT", TYPE_STRING, (1,), optional=True),
)
_IMAGE: Final = _Tensor("IMAGE", TYPE_UINT8, (-1, -1, 3))
_INFO: Final = _Tensor("INFO", TYPE_STRING, (1,))


def to_text(config: ModelConfig) -> str:
    """The message in the form of a `config.pbtxt`."""
    return text_format.MessageToString(config, as_utf8=True)


def from_text(text: str) -> ModelConfig:
    """Parses a `config.pbtxt`; raises `google.protobuf.text_format.ParseError`."""
    return text_format.Parse(text, ModelConfig())


def catalog() -> ModelConfig:
    """The model that tells a front which families the repository holds."""
    return _model(
        "catalog",
        "catalog",
        [_Tensor("QUERY", TYPE_STRING, (1,))],
        [_Tensor("CATALOG", TYPE_STRING, (1,))],
    )


def composing_models(checkpoint: Checkpoint, parameters: FamilyParameters) -> dict[str, ModelConfig]:
    """The family's models but for the ensemble, by their part in it (see PARTS)."""
    latents = _Tensor("LATENTS", TYPE_FP32, (checkpoint.latent_channels, -1, -1))
    ids = _Tensor("INPUT_IDS", TYPE_INT64, (-1,))
    embeddings = _Tensor("EMBEDDINGS", TYPE_FP32, (-1, checkpoint.text_width))
    moments = [_Tensor(name, latents.type, latents.dims) for name in ("MEAN", "STD")]
    names = {part: f"{parameters.family}_{part}" for part in PARTS}
    return {
        "tokenizer": _tokenizer(names["tokenizer"], checkpoint),
        "text_encoder": _batched(names["text_encoder"], [ids], [embeddings]),
        "unet": _unet(names["unet"], checkpoint, parameters, latents),
        "vae_decoder": _batched(names["vae_decoder"], [latents], [_IMAGE]),
        "vae_encoder": _batched(names["vae_encoder"], [_IMAGE], moments),
    }


def text_to_image(parameters: FamilyParameters) -> ModelConfig:
    """The ensemble that bears the family's name and parameters, pinned to the active version of each of its steps."""
    family = parameters.family
    config = ModelConfig(name=family, platform="ensemble", max_batch_size=MAX_BATCH_SIZE)
    config.version_policy.all.SetInParent()
    _declare(config, [*_PROMPTS, *_SETTINGS], [_IMAGE, _INFO])
    _set_parameters(config, parameters.strings())

    def step(model: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        config.ensemble_scheduling.step.add(
            model_name=f"{family}_{model}",
            model_version=parameters.version,
            input_map=inputs,
            output_map=outputs,
        )

    step(
        "tokenizer",
        {tensor.name: tensor.name for tensor in _PROMPTS},
        {"PROMPT_IDS": "prompt_ids", "NEGATIVE_PROMPT_IDS": "negative_prompt_ids"},
    )
    step("text_encoder", {"INPUT_IDS": "prompt_ids"}, {"EMBEDDINGS": "prompt_embeddings"})
    step("text_encoder", {"INPUT_IDS": "negative_prompt_ids"}, {"EMBEDDINGS": "negative_prompt_embeddings"})
    step(
        "unet",
        {
            "PROMPT_EMBEDDINGS": "prompt_embeddings",
            "NEGATIVE_PROMPT_EMBEDDINGS": "negative_prompt_embeddings",
            **{tensor.name: tensor.name for tensor in _SETTINGS},
        },
        {"LATENTS": "latents", "INFO": "INFO"},
    )
    step("vae_decoder", {"LATENTS": "latents"}, {"IMAGE": "IMAGE"})
    return config


def _tokenizer(name: str, checkpoint: Checkpoint) -> ModelConfig:
    tokenizer = checkpoint.tokenizer
    return _model(
        name,
        "clip_tokenizer",
        _PROMPTS,
        [
            _Tensor("PROMPT_IDS", TYPE_INT64, (-1,)),
            _Tensor("NEGATIVE_PROMPT_IDS", TYPE_INT64, (-1,)),
        ],
        {
            "window": str(checkpoint.window),
            "max_windows": str(_MAX_WINDOWS),
            "bos_token_id": str(tokenizer.bos_token_id),
            "eos_token_id": str(tokenizer.eos_token_id),
            "pad_token_id": str(tokenizer.pad_token_id),
        },
    )


def _unet(name: str, checkpoint: Checkpoint, parameters: FamilyParameters, latents: _Tensor) -> ModelConfig:
    embeddings = (-1, checkpoint.text_width)
    inputs = [
        _Tensor("PROMPT_EMBEDDINGS", TYPE_FP32, embeddings),
        _Tensor("NEGATIVE_PROMPT_EMBEDDINGS", TYPE_FP32, embeddings),
        *_SETTINGS,
        _Tensor("CONTROL", TYPE_STRING, (1,)),
    ]
    return _model(
        name,
        "diffusion",
        # All optional, so that a control request can come without a generation's inputs.
        [_Tensor(tensor.name, tensor.type, tensor.dims, optional=True) for tensor in inputs],
        [latents, _INFO, _Tensor("STATUS", TYPE_STRING, (1,))],
        {
            **parameters.engine_strings(),
            **_THREADS,
            "providers": "cpu",
            "max_waiting": str(_MAX_WAITING),
            "latent_channels": str(checkpoint.latent_channels),
            "vae_scale_factor": str(checkpoint.vae_scale_factor),
        },
    )


def _batched(name: str, inputs: Sequence[_Tensor], outputs: Sequence[_Tensor]) -> ModelConfig:
    config = _model(name, "onnxruntime", inputs, outputs, _THREADS)
    config.dynamic_batching.SetInParent()
    return config


def _model(
    name: str,
    backend: str,
    inputs: Sequence[_Tensor],
    outputs: Sequence[_Tensor],
    parameters: Mapping[str, str] | None = None,
) -> ModelConfig:
    config = ModelConfig(name=name, backend=backend, max_batch_size=MAX_BATCH_SIZE)
    config.version_policy.all.SetInParent()
    # Written out, because Triton's default is two instances for a backend called onnxruntime.
    config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_CPU)
    _declare(config, inputs, outputs)
    _set_parameters(config, parameters or {})
    return config


def _declare(config: ModelConfig, inputs: Sequence[_Tensor], outputs: Sequence[_Tensor]) -> None:
    for tensor in inputs:
        config.input.add(name=tensor.name, data_type=tensor.type, dims=tensor.dims, optional=tensor.optional)
    for tensor in outputs:
        config.output.add(name=tensor.name, data_type=tensor.type, dims=tensor.dims)


def _set_parameters(config: ModelConfig, parameters: Mapping[str, str]) -> None:
    for key, value in parameters.items():
        config.parameters[key].string_value = value
