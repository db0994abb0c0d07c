"""The ensembles of a family: one for each way to make a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.checkpoint import Checkpoint
from export.family_parameters import FamilyParameters
from export.model_configs import MAX_BATCH_SIZE, set_parameters
from export.tensors import IMAGE, INFO, INIT_IMAGE, MASK, PROMPTS, SETTINGS, SIZES, STRENGTH, TIME_IDS, Tensor, declare
from export.text_encoders import text_encoders


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


def ensembles(checkpoint: Checkpoint, parameters: FamilyParameters) -> list[ModelConfig]:
    """The family's ensembles, pinned to its active version; the last one bears its parameters."""
    configs = [
        _config(_ENSEMBLES[each], checkpoint, parameters) for each in _ENSEMBLES if each in parameters.capabilities
    ]
    set_parameters(configs[-1], parameters.strings())
    return configs


def _config(ensemble: _Ensemble, checkpoint: Checkpoint, parameters: FamilyParameters) -> ModelConfig:
    name = f"{parameters.family}{ensemble.ending}"
    settings = (*ensemble.settings, TIME_IDS) if checkpoint.is_xl else ensemble.settings
    config = ModelConfig(name=name, platform="ensemble", max_batch_size=MAX_BATCH_SIZE)
    config.version_policy.all.SetInParent()
    declare(config, [*PROMPTS, *ensemble.pictures.values(), *settings], [IMAGE, INFO])

    def step(model: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
        config.ensemble_scheduling.step.add(
            model_name=f"{parameters.family}_{model}",
            model_version=parameters.version,
            input_map=inputs,
            output_map=outputs,
        )

    encoders = text_encoders(checkpoint)
    ids = [f"{prompt.name}_IDS{encoder.part}" for encoder in encoders for prompt in PROMPTS]
    step("tokenizer", {tensor.name: tensor.name for tensor in PROMPTS}, {name: name.lower() for name in ids})
    texts: list[str] = []
    for encoder in encoders:
        for prompt in PROMPTS:
            made = {output.name: encoder.feeds(prompt.name, output) for output in encoder.outputs}
            step(
                f"text_encoder{encoder.part}",
                {"INPUT_IDS": f"{prompt.name}_IDS{encoder.part}".lower()},
                {output: name.lower() for output, name in made.items()},
            )
            texts += made.values()
    if ensemble.encoder:
        step(
            ensemble.encoder,
            {name: picture.name for name, picture in ensemble.pictures.items()},
            {output: name.lower() for output, name in ensemble.latents.items()},
        )
    step(
        "unet",
        {
            **{name: name.lower() for name in (*texts, *ensemble.latents.values())},
            **{tensor.name: tensor.name for tensor in settings},
        },
        {"LATENTS": "latents", "INFO": "INFO"},
    )
    step("vae_decoder", {"LATENTS": "latents"}, {"IMAGE": "IMAGE"})
    return config
