"""The ensembles of a family: one for each way to make a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.family_parameters import FamilyParameters
from export.model_configs import MAX_BATCH_SIZE, set_parameters
from export.tensors import IMAGE, INFO, INIT_IMAGE, MASK, PROMPTS, SETTINGS, SIZES, STRENGTH, Tensor, declare


@dataclass(frozen=True, slots=True)
class _Ensemble:
    """How one is called behind the family's name, its settings, and how the pictures that it starts from are encoded.

    `pictures` are inputs of the ensemble by the encoder's name for them; `latents` maps the encoder's outputs to the
    UNet's inputs.
    """

    ending: str
    settings: tuple[Tensor, ...]
    encoder: str | None = None
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    latents: Mapping[str, str] = field(default_factory=dict)


_POSTERIOR: Final = {"MEAN": "INIT_MEAN", "STD": "INIT_STD"}
# By capability. The last of those that a family has bears its parameters.
_ENSEMBLES: Final[Mapping[str, _Ensemble]] = {
    "image-to-image": _Ensemble(
        "_image_to_image",
        (STRENGTH, *SETTINGS),
        "vae_encoder",
        {"IMAGE": INIT_IMAGE},
        _POSTERIOR,
    ),
    "inpainting": _Ensemble(
        "_inpaint",
        (STRENGTH, *SETTINGS),
        "inpaint_encoder",
        {"IMAGE": INIT_IMAGE, "MASK": MASK},
        {**_POSTERIOR, **{name: name for name in ("MASKED_MEAN", "MASKED_STD", "LATENT_MASK")}},
    ),
    "text-to-image": _Ensemble("", (*SIZES, *SETTINGS)),
}


def ensembles(parameters: FamilyParameters) -> list[ModelConfig]:
    """The family's ensembles, pinned to its active version; the last one bears its parameters."""
    configs = [_config(_ENSEMBLES[each], parameters) for each in _ENSEMBLES if each in parameters.capabilities]
    set_parameters(configs[-1], parameters.strings())
    return configs


def _config(ensemble: _Ensemble, parameters: FamilyParameters) -> ModelConfig:
    name = f"{parameters.family}{ensemble.ending}"
    config = ModelConfig(name=name, platform="ensemble", max_batch_size=MAX_BATCH_SIZE)
    config.version_policy.all.SetInParent()
    declare(config, [*PROMPTS, *ensemble.pictures.values(), *ensemble.settings], [IMAGE, INFO])

    def step(model: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        config.ensemble_scheduling.step.add(
            model_name=f"{parameters.family}_{model}",
            model_version=parameters.version,
            input_map=inputs,
            output_map=outputs,
        )

    step(
        "tokenizer",
        {tensor.name: tensor.name for tensor in PROMPTS},
        {"PROMPT_IDS": "prompt_ids", "NEGATIVE_PROMPT_IDS": "negative_prompt_ids"},
    )
    step("text_encoder", {"INPUT_IDS": "prompt_ids"}, {"EMBEDDINGS": "prompt_embeddings"})
    step("text_encoder", {"INPUT_IDS": "negative_prompt_ids"}, {"EMBEDDINGS": "negative_prompt_embeddings"})
    if ensemble.encoder:
        step(
            ensemble.encoder,
            {name: picture.name for name, picture in ensemble.pictures.items()},
            {output: name.lower() for output, name in ensemble.latents.items()},
        )
    step(
        "unet",
        {
            "PROMPT_EMBEDDINGS": "prompt_embeddings",
            "NEGATIVE_PROMPT_EMBEDDINGS": "negative_prompt_embeddings",
            **{name: name.lower() for name in ensemble.latents.values()},
            **{tensor.name: tensor.name for tensor in ensemble.settings},
        },
        {"LATENTS": "latents", "INFO": "INFO"},
    )
    step("vae_decoder", {"LATENTS": "latents"}, {"IMAGE": "IMAGE"})
    return config
