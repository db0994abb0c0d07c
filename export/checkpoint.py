"""A Stable Diffusion checkpoint in the diffusers folder format, loaded and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.utils import logging as diffusers_logging
from transformers import CLIPTextModel, CLIPTokenizerFast

from export.errors import IncompleteCheckpoint, NotACheckpoint, UnsupportedCheckpoint
from export.sampling import Sampling

# They correct different mistakes in a scheduler's config, so each checkpoint is loaded by its own.
_PIPELINES: Final[Mapping[str, Any]] = {
    kind.__name__: kind for kind in (StableDiffusionPipeline, StableDiffusionInpaintPipeline)
}
# Component -> classes of it that the exported graphs are written for; the scheduler is checked by its config's keys.
_COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "tokenizer": ("CLIPTokenizer", "CLIPTokenizerFast"),
    "text_encoder": ("CLIPTextModel",),
    "unet": ("UNet2DConditionModel",),
    "vae": ("AutoencoderKL",),
    "scheduler": (),
}
# Keys of the UNet's and the VAE's config that would need further inputs or other arithmetic, where they are set.
_UNET_EXTRAS: Final = (
    "time_cond_proj_dim",
    "addition_embed_type",
    "class_embed_type",
    "num_class_embeds",
    "encoder_hid_dim_type",
)
_VAE_EXTRAS: Final = ("latents_mean", "latents_std", "shift_factor")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The components of a checkpoint, in FP32 and ready to run, and what follows from their configs.

    `source` is the Hub id or the folder's name. `scheduler_config` holds the keys that the checkpoint's file names,
    none that diffusers fills in: its classes differ in their defaults.
    """

    source: str
    tokenizer: CLIPTokenizerFast
    text_encoder: CLIPTextModel
    # An UNet2DConditionModel and an AutoencoderKL; diffusers' classes have no types for what they do.
    unet: Any
    vae: Any
    scheduler_config: Mapping[str, object]
    sampling: Sampling

    @classmethod
    def load(cls, name: str) -> Checkpoint:
        """Loads a folder, or an id from the Hugging Face Hub.

        Raises NotACheckpoint, IncompleteCheckpoint or UnsupportedCheckpoint.
        """
        index = _read_index(name)
        _check_index(index, name)
        _check_extras(name)
        # A progress bar per component says nothing beside the export's own report.
        diffusers_logging.disable_progress_bar()
        try:
            pipeline = _PIPELINES[index["_class_name"]].from_pretrained(
                name,
                torch_dtype=torch.float32,
                safety_checker=None,
                feature_extractor=None,
                image_encoder=None,
                requires_safety_checker=False,
            )
            tokenizer = CLIPTokenizerFast.from_pretrained(name, subfolder="tokenizer")
        except Exception as error:
            # What is wrong with a file decides which of a dozen exceptions the loaders raise.
            raise IncompleteCheckpoint(f"The checkpoint {name!r} can't be loaded: {_first_line(error)}") from error
        scheduler_config = _named_keys(pipeline.scheduler)
        checkpoint = cls(
            source=Path(name).resolve().name if Path(name).is_dir() else name,
            tokenizer=tokenizer,
            text_encoder=pipeline.text_encoder.eval(),
            unet=pipeline.unet.eval(),
            vae=pipeline.vae.eval(),
            scheduler_config=scheduler_config,
            sampling=Sampling.of(scheduler_config),
        )
        checkpoint._check_configs()
        return checkpoint

    @property
    def window(self) -> int:
        """Tokens of one window of the text encoder, start and end included."""
        return int(self.tokenizer.model_max_length)

    @property
    def text_width(self) -> int:
        """The length of one token's embedding."""
        return int(self.text_encoder.config.hidden_size)

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        return int(self.vae.config.latent_channels)

    @property
    def unet_channels(self) -> int:
        """Channels of the UNet's input."""
        return int(self.unet.config.in_channels)

    @property
    def inpainting(self) -> bool:
        """Whether the UNet takes latents, mask and masked image's latents, and so can do nothing but inpaint."""
        return self.unet_channels != self.latent_channels

    @property
    def scaling_factor(self) -> float:
        """What the VAE's latents are multiplied by for the UNet."""
        return float(self.vae.config.scaling_factor)

    @property
    def vae_scale_factor(self) -> int:
        """Pixels to a latent, along each side."""
        return int(2 ** (len(self.vae.config.block_out_channels) - 1))

    @property
    def size_multiple(self) -> int:
        """What width and height must be multiples of, in pixels, for the UNet's levels to meet again."""
        return int(self.vae_scale_factor * 2 ** (len(self.unet.config.down_block_types) - 1))

    @property
    def native_height(self) -> int:
        """The height in pixels that the UNet was trained on."""
        return self._native_size[0]

    @property
    def native_width(self) -> int:
        """The width in pixels that the UNet was trained on."""
        return self._native_size[1]

    @property
    def _native_size(self) -> tuple[int, int]:
        size = self.unet.config.sample_size
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        return int(height * self.vae_scale_factor), int(width * self.vae_scale_factor)

    def _check_configs(self) -> None:
        latents = self.latent_channels
        if self.unet_channels not in (latents, 2 * latents + 1):
            raise UnsupportedCheckpoint(
                f"The checkpoint's UNet has in_channels {self.unet_channels}; only {latents} (latents) and "
                f"{2 * latents + 1} (latents, mask and masked image, for inpainting) can be exported."
            )
        if self.unet.config.out_channels != latents:
            raise UnsupportedCheckpoint(
                f"The checkpoint's UNet has out_channels {self.unet.config.out_channels}, its VAE {latents} "
                "latent channels; only UNets that predict latents alone can be exported."
            )
        if self.unet.config.cross_attention_dim != self.text_width:
            raise UnsupportedCheckpoint(
                f"The checkpoint's UNet takes embeddings of {self.unet.config.cross_attention_dim}, its text encoder "
                f"makes {self.text_width}; the checkpoint does not fit together."
            )
        if getattr(self.text_encoder.config, "use_attention_mask", False):
            raise UnsupportedCheckpoint(
                "The checkpoint's text encoder sets use_attention_mask, which the server does not implement."
            )
        if self.window > self.text_encoder.config.max_position_embeddings:
            raise UnsupportedCheckpoint(
                f"The checkpoint's tokenizer makes {self.window} tokens, its text encoder takes "
                f"{self.text_encoder.config.max_position_embeddings}; the checkpoint does not fit together."
            )


def _read_index(name: str) -> Mapping[str, Any]:
    path = Path(name)
    if path.is_file():
        raise NotACheckpoint(
            f"{name!r} is a file; single-file checkpoints and LoRA files are not supported. Give a diffusers folder, "
            "which StableDiffusionPipeline.from_single_file(..).save_pretrained(..) makes of a single file."
        )
    if path.is_dir() and not (path / "model_index.json").is_file():
        raise NotACheckpoint(f"{name!r} holds no model_index.json; give a checkpoint in the diffusers folder format.")
    try:
        index: Mapping[str, Any] = DiffusionPipeline.load_config(name)
    except (OSError, ValueError) as error:
        raise NotACheckpoint(
            f"{name!r} is neither a diffusers folder nor a checkpoint on the Hugging Face Hub that can be reached "
            f"from here: {_first_line(error)}"
        ) from error
    if not isinstance(index, dict):
        raise NotACheckpoint(f"The model_index.json of {name!r} holds no object; give a diffusers folder.")
    return index


def _check_index(index: Mapping[str, Any], name: str) -> None:
    pipeline = index.get("_class_name")
    if pipeline not in _PIPELINES:
        raise UnsupportedCheckpoint(
            f"{name!r} is a {pipeline}; only {' and '.join(_PIPELINES)} checkpoints can be exported."
        )
    for component, classes in _COMPONENTS.items():
        entry = index.get(component)
        actual = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if actual is None:
            raise IncompleteCheckpoint(f"The checkpoint {name!r} has no {component}; it is incomplete.")
        if classes and actual not in classes:
            raise UnsupportedCheckpoint(
                f"The checkpoint's {component} is a {actual}; only {' and '.join(classes)} can be exported."
            )
        if Path(name).is_dir() and not (Path(name) / component).is_dir():
            raise IncompleteCheckpoint(f"The checkpoint {name!r} lacks the folder {component!r}; it is incomplete.")


def _check_extras(name: str) -> None:
    """Looks into the configs before the weights are loaded, or fetched: gigabytes that would not be used."""
    for folder, kind, keys in (("unet", UNet2DConditionModel, _UNET_EXTRAS), ("vae", AutoencoderKL, _VAE_EXTRAS)):
        try:
            config = kind.load_config(name, subfolder=folder)
        except (OSError, ValueError) as error:
            raise IncompleteCheckpoint(
                f"The checkpoint {name!r} has no config for its {folder}: {_first_line(error)}"
            ) from error
        for key in keys:
            if config.get(key) is not None:
                raise UnsupportedCheckpoint(
                    f"The checkpoint's {folder} sets {key} to {config[key]!r}, which the server does not implement; "
                    "export a checkpoint without it."
                )


def _named_keys(scheduler: Any) -> dict[str, object]:
    """The scheduler's config without what diffusers added to the file, but with what it corrected."""
    own_defaults = type(scheduler)().config
    filled_in = scheduler.config.get("_use_default_values", ())
    return {
        key: value
        for key, value in scheduler.config.items()
        if key != "_use_default_values" and (key not in filled_in or value != own_defaults[key])
    }


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
