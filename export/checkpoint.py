"""A Stable Diffusion checkpoint, loaded, and what follows from its configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from transformers import CLIPTokenizerFast

from export.errors import UnsupportedCheckpoint
from export.sampling import Sampling

# Original size, crop and target size, two numbers each; SDXL's refiner has five numbers.
_TIME_IDS: Final = 6


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The components of a checkpoint, in FP32 and ready to run.

    `source` is the Hub id, or the folder's or file's name. `tokenizers` and `text_encoders` are one each, of SDXL two.
    `scheduler_config` holds the keys that the checkpoint's file names, none that diffusers fills in: its classes differ
    in their defaults. With `zeros_for_empty_prompt` an empty negative prompt means embeddings of zeros.
    """

    source: str
    tokenizers: tuple[CLIPTokenizerFast, ...]
    # CLIPTextModels, an UNet2DConditionModel and an AutoencoderKL; diffusers' classes have no types for what they do.
    text_encoders: tuple[Any, ...]
    unet: Any
    vae: Any
    scheduler_config: Mapping[str, object]
    sampling: Sampling
    zeros_for_empty_prompt: bool

    @property
    def is_xl(self) -> bool:
        """Whether it is of SDXL's kind: two text encoders, pooled embeddings and time ids."""
        return len(self.text_encoders) > 1

    @property
    def window(self) -> int:
        """Tokens of one window of the text encoders, start and end included."""
        return int(self.tokenizers[0].model_max_length)

    @property
    def text_widths(self) -> tuple[int, ...]:
        """The length of one token's embedding by each text encoder; the UNet takes them one behind the other."""
        return tuple(int(encoder.config.hidden_size) for encoder in self.text_encoders)

    @property
    def pooled_width(self) -> int | None:
        """The length of a prompt's pooled embedding, where the UNet takes one."""
        return int(self.text_encoders[-1].config.projection_dim) if self.is_xl else None

    @property
    def time_ids(self) -> int | None:
        """How many numbers the UNet takes on original size, crop and target size, where it does."""
        return _TIME_IDS if self.is_xl else None

    @property
    def guidance_width(self) -> int | None:
        """The length of the guidance scale's embedding, where the UNet takes one (LCM)."""
        width = self.unet.config.time_cond_proj_dim
        return None if width is None else int(width)

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

    def check(self) -> None:
        """Raises UnsupportedCheckpoint where the components don't fit together or need what the server does not do."""
        self._check_latents()
        self._check_text()
        self._check_conditions()

    def _check_latents(self) -> None:
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

    def _check_text(self) -> None:
        if self.unet.config.cross_attention_dim != sum(self.text_widths):
            raise UnsupportedCheckpoint(
                f"The checkpoint's UNet takes embeddings of {self.unet.config.cross_attention_dim}, its text encoder "
                f"makes {sum(self.text_widths)}; the checkpoint does not fit together."
            )
        for tokenizer, encoder in zip(self.tokenizers, self.text_encoders, strict=True):
            if getattr(encoder.config, "use_attention_mask", False):
                raise UnsupportedCheckpoint(
                    "The checkpoint's text encoder sets use_attention_mask, which the server does not implement."
                )
            if tokenizer.model_max_length > encoder.config.max_position_embeddings:
                raise UnsupportedCheckpoint(
                    f"The checkpoint's tokenizer makes {tokenizer.model_max_length} tokens, its text encoder takes "
                    f"{encoder.config.max_position_embeddings}; the checkpoint does not fit together."
                )
            if tokenizer.model_max_length != self.window:
                raise UnsupportedCheckpoint(
                    f"The checkpoint's tokenizers make {self.window} and {tokenizer.model_max_length} tokens; "
                    "only tokenizers of one length can be exported."
                )

    def _check_conditions(self) -> None:
        if self.pooled_width is None:
            return
        config = self.unet.config
        expected = self.pooled_width + _TIME_IDS * config.addition_time_embed_dim
        if config.projection_class_embeddings_input_dim != expected:
            raise UnsupportedCheckpoint(
                f"The checkpoint's UNet sets projection_class_embeddings_input_dim to "
                f"{config.projection_class_embeddings_input_dim}; only {expected}, a pooled embedding of "
                f"{self.pooled_width} and {_TIME_IDS} time ids, can be exported (a refiner can't)."
            )
