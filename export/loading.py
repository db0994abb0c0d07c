"""Loads a checkpoint: from a diffusers folder, a Hub id or a single file, with another VAE and LoRAs where wished."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint
from diffusers.utils import logging as diffusers_logging
from huggingface_hub.errors import LocalEntryNotFoundError
from transformers import CLIPTokenizerFast

from export import lora
from export.checkpoint import Checkpoint
from export.component_configs import check_components, check_unet, check_vae
from export.errors import IncompleteCheckpoint, InvalidVae, NotACheckpoint, UnsupportedCheckpoint
from export.options import ExportOptions
from export.pipelines import KINDS, PipelineKind
from export.sampling import Sampling


def load(options: ExportOptions) -> Checkpoint:
    """Loads and checks what the options name.

    Configs are looked at before weights are loaded, or fetched: gigabytes that would not be used. Raises
    NotACheckpoint, IncompleteCheckpoint, UnsupportedCheckpoint, InvalidVae or InvalidLora.
    """
    name = options.checkpoint
    single_file = Path(name).is_file()
    origin = _configs_of_file(name, options.config) if single_file else name
    index = _read_index(origin) if options.config or not single_file else _read_index_of_file(name, origin)
    kind = _kind(index, origin)
    check_components(index, kind, origin)
    check_unet(_read_config(UNet2DConditionModel, origin, "unet"), kind)
    check_vae(_read_config(AutoencoderKL, origin, "vae"))
    # A progress bar per component says nothing beside the export's own report.
    diffusers_logging.disable_progress_bar()
    pipeline = _load_pipeline(name, origin, kind, single_file)
    if options.vae is not None:
        pipeline.vae = _load_vae(options.vae, origin)
    lora.fuse(pipeline, options.loras)
    scheduler_config = _named_keys(pipeline.scheduler)
    checkpoint = Checkpoint(
        source=Path(name).stem if single_file else Path(name).resolve().name if Path(name).is_dir() else name,
        tokenizers=tuple(_load_tokenizer(origin, f"tokenizer{part}") for part in kind.text_parts),
        text_encoders=tuple(getattr(pipeline, f"text_encoder{part}").eval() for part in kind.text_parts),
        unet=pipeline.unet.eval(),
        vae=pipeline.vae.eval(),
        scheduler_config=scheduler_config,
        sampling=Sampling.of(scheduler_config),
        zeros_for_empty_prompt=bool(pipeline.config.get("force_zeros_for_empty_prompt", False)),
    )
    checkpoint.check()
    return checkpoint


def _configs_of_file(name: str, config: str | None) -> str:
    """The folder or Hub id that has the configs and tokenizers for a file of weights."""
    if config is not None:
        return config
    try:
        return str(fetch_diffusers_config(load_single_file_checkpoint(name))["pretrained_model_name_or_path"])
    except Exception as error:
        raise NotACheckpoint(f"The file {name!r} holds no checkpoint: {_reason(error)}") from error


def _read_index_of_file(name: str, origin: str) -> Mapping[str, Any]:
    try:
        return _read_index(origin)
    except NotACheckpoint as error:
        raise NotACheckpoint(
            f"The file {name!r} has weights only, and the configs that fit it, those of {origin!r}, can't be reached; "
            "name a folder that has them, and its tokenizers, with --config."
        ) from error


def _read_index(name: str) -> Mapping[str, Any]:
    path = Path(name)
    if path.is_dir() and not (path / "model_index.json").is_file():
        raise NotACheckpoint(f"{name!r} holds no model_index.json; give a checkpoint in the diffusers folder format.")
    try:
        index: Mapping[str, Any] = DiffusionPipeline.load_config(name)
    except (OSError, ValueError) as error:
        raise NotACheckpoint(
            f"{name!r} is neither a diffusers folder nor a checkpoint on the Hugging Face Hub that can be reached "
            f"from here: {_reason(error)}"
        ) from error
    if not isinstance(index, dict):
        raise NotACheckpoint(f"The model_index.json of {name!r} holds no object; give a diffusers folder.")
    return index


def _kind(index: Mapping[str, Any], name: str) -> PipelineKind:
    pipeline = index.get("_class_name")
    if pipeline not in KINDS:
        raise UnsupportedCheckpoint(
            f"{name!r} is a {pipeline}; only checkpoints of {', '.join(KINDS)} can be exported."
        )
    return KINDS[pipeline]


def _read_config(component: Any, name: str, folder: str) -> Mapping[str, Any]:
    try:
        config: Mapping[str, Any] = component.load_config(name, subfolder=folder)
    except (OSError, ValueError) as error:
        raise IncompleteCheckpoint(
            f"The checkpoint {name!r} has no config for its {folder}: {_reason(error)}"
        ) from error
    return config


def _load_pipeline(name: str, origin: str, kind: PipelineKind, single_file: bool) -> Any:
    settings = {"torch_dtype": torch.float32, **kind.left_out}
    try:
        if single_file:
            return kind.pipeline.from_single_file(name, config=origin, **settings)
        return kind.pipeline.from_pretrained(name, **settings)
    except Exception as error:
        # What is wrong with a file decides which of a dozen exceptions the loaders raise.
        raise IncompleteCheckpoint(f"The checkpoint {name!r} can't be loaded: {_reason(error)}") from error


def _load_tokenizer(name: str, folder: str) -> CLIPTokenizerFast:
    try:
        return CLIPTokenizerFast.from_pretrained(name, subfolder=folder)
    except Exception as error:
        raise IncompleteCheckpoint(f"The {folder} of {name!r} can't be loaded: {_reason(error)}") from error


def _load_vae(name: str, origin: str) -> Any:
    """A VAE from a folder or Hub id of its own, from that of a whole checkpoint, or from a single file.

    A file is read by the checkpoint's own VAE config, which must therefore fit it.
    """
    try:
        if Path(name).is_file():
            vae = AutoencoderKL.from_single_file(name, config=origin, subfolder="vae", torch_dtype=torch.float32)
        else:
            folder = "vae" if (Path(name) / "vae").is_dir() else None
            vae = AutoencoderKL.from_pretrained(name, subfolder=folder, torch_dtype=torch.float32)
    except Exception as error:
        raise InvalidVae(f"The VAE {name!r} can't be loaded: {_reason(error)}") from error
    check_vae(vae.config)
    return vae


def _named_keys(scheduler: Any) -> dict[str, object]:
    """The scheduler's config without what diffusers added to the file, but with what it corrected."""
    own_defaults = type(scheduler)().config
    filled_in = scheduler.config.get("_use_default_values", ())
    return {
        key: value
        for key, value in scheduler.config.items()
        if key != "_use_default_values" and (key not in filled_in or value != own_defaults[key])
    }


def _reason(error: Exception) -> str:
    """The first line of what an error says."""
    # diffusers says of everything that it can't fetch that it does not exist.
    if isinstance(error.__context__, LocalEntryNotFoundError):
        return "the Hub can't be reached, and nothing of that name was fetched before"
    return str(error).strip().partition("\n")[0]
