"""The graphs of a family: torch modules with the tensors that Triton's models have at their boundaries.

optimum's exporters have other boundaries (a scalar timestep, scaled float images, one window of text), so three of its
four graphs would be wrapped anyway; tracing our own modules is the shorter way to the same `torch.onnx.export`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from export.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Sample:
    """Sizes of an example input: pictures in the batch, pixels of each, windows of its prompt."""

    batch: int
    width: int
    height: int
    windows: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A module, a way to make inputs for it, and the axes of its tensors that vary: tensor -> axis -> name."""

    module: nn.Module
    inputs: Callable[[Sample], dict[str, Tensor]]
    outputs: tuple[str, ...]
    dynamic_axes: Mapping[str, Mapping[int, str]]


class _TextEncoder(nn.Module):
    def __init__(self, encoder: Any, window: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.window = window

    def forward(self, input_ids: Tensor) -> Tensor:
        # Every window is a sequence of its own, so its positions start at 0.
        windows = input_ids.reshape(-1, self.window)
        hidden = self.encoder(input_ids=windows).last_hidden_state
        embeddings: Tensor = hidden.reshape(input_ids.shape[0], -1, hidden.shape[-1])
        return embeddings


class _XLTextEncoder(nn.Module):
    def __init__(self, encoder: Any, window: int, pooled: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.window = window
        self.pooled = pooled

    def forward(self, input_ids: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        windows = input_ids.clamp(min=0).reshape(-1, self.window)
        output = self.encoder(input_ids=windows, output_hidden_states=True)
        # As encode_prompt of StableDiffusionXLPipeline: the last layer but one, before the final norm.
        hidden = output.hidden_states[-2]
        # The tokenizer sends ids of -1 for a prompt whose embeddings are to be zeros.
        kept = (input_ids[:, :1] >= 0).to(hidden.dtype)
        embeddings = hidden.reshape(input_ids.shape[0], -1, hidden.shape[-1]) * kept[:, :, None]
        if not self.pooled:
            return embeddings
        # A prompt of several windows is pooled by its first one.
        projected = output.text_embeds.reshape(input_ids.shape[0], -1, output.text_embeds.shape[-1])
        return embeddings, projected[:, 0] * kept


class _UNet(nn.Module):
    def __init__(self, unet: Any, conditions: Sequence[str]) -> None:
        super().__init__()
        self.unet = unet
        self.conditions = conditions

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, *further: Tensor) -> Tensor:
        added = dict(zip(self.conditions, further, strict=True))
        prediction: Tensor = self.unet(
            sample,
            timestep,
            encoder_hidden_states,
            timestep_cond=added.pop("timestep_cond", None),
            added_cond_kwargs=added or None,
            return_dict=False,
        )[0]
        return prediction


class _VaeDecoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        pixels = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        # As diffusers' VaeImageProcessor: denormalize, pt_to_numpy, numpy_to_pil; both round half to even.
        unit = (pixels * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        image: Tensor = (unit * 255).round().to(torch.uint8)
        return image


class _VaeEncoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        posterior = self.vae.encode(_pixels(image)).latent_dist
        return posterior.mean, posterior.std


class _InpaintEncoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        # As StableDiffusionInpaintPipeline: mask_processor, which binarises, then the masked image, whose hidden part
        # is grey, then prepare_mask_latents.
        pixels = _pixels(image)
        repaint = (mask.permute(0, 3, 1, 2).to(torch.float32) / 255 >= 0.5).to(torch.float32)
        whole = self.vae.encode(pixels).latent_dist
        masked = self.vae.encode(pixels * (repaint < 0.5)).latent_dist
        latent_mask = nn.functional.interpolate(repaint, size=whole.mean.shape[-2:])
        return whole.mean, whole.std, masked.mean, masked.std, latent_mask


def _pixels(image: Tensor) -> Tensor:
    """[B, H, W, 3] of bytes as the VAE takes them: [B, 3, H, W] from -1 to 1."""
    return image.permute(0, 3, 1, 2).to(torch.float32) / 255 * 2 - 1


def text_encoder(checkpoint: Checkpoint) -> Graph:
    """INPUT_IDS [B, k*L] to EMBEDDINGS [B, k*L, D], the last hidden state of k windows of L tokens.

    Of SDXL's the last but one, and zeros for a row of ids below 0. Checkpoints of SD 2.x leave their last layer out
    themselves, so that the last one they have is the penultimate of the encoder they were made from.
    """
    if checkpoint.is_xl:
        return _xl_text_encoder(checkpoint, 0, pooled=False)
    module = _TextEncoder(checkpoint.text_encoders[0], checkpoint.window)
    axes = {0: "batch", 1: "tokens"}
    return Graph(module, _ids(checkpoint, 0), ("EMBEDDINGS",), {"INPUT_IDS": axes, "EMBEDDINGS": axes})


def text_encoder_2(checkpoint: Checkpoint) -> Graph:
    """SDXL's second one: as the first, and POOLED [B, P], the projected embedding of the first window's end."""
    return _xl_text_encoder(checkpoint, 1, pooled=True)


def _xl_text_encoder(checkpoint: Checkpoint, index: int, pooled: bool) -> Graph:
    def inputs(sample: Sample) -> dict[str, Tensor]:
        ids = _ids(checkpoint, index)(sample)["INPUT_IDS"]
        ids[-1] = -1
        return {"INPUT_IDS": ids}

    axes = {0: "batch", 1: "tokens"}
    module = _XLTextEncoder(checkpoint.text_encoders[index], checkpoint.window, pooled)
    outputs = ("EMBEDDINGS", "POOLED") if pooled else ("EMBEDDINGS",)
    return Graph(module, inputs, outputs, {"INPUT_IDS": axes, "EMBEDDINGS": axes, "POOLED": {0: "batch"}})


def _ids(checkpoint: Checkpoint, index: int) -> Callable[[Sample], dict[str, Tensor]]:
    def inputs(sample: Sample) -> dict[str, Tensor]:
        shape = (sample.batch, sample.windows * checkpoint.window)
        ids = torch.randint(checkpoint.text_encoders[index].config.vocab_size, shape, generator=_generator())
        return {"INPUT_IDS": ids}

    return inputs


def unet(checkpoint: Checkpoint) -> Graph:
    """sample [B, C, h, w], timestep [B] (fractional ones too) and encoder_hidden_states [B, T, D] to out_sample.

    C is 4 for latents, 9 for latents, mask and masked image's latents; out_sample always has the latents' channels.
    Further inputs, a row for each picture's row, where the model takes them: text_embeds [B, P] and time_ids [B, 6] of
    SDXL, timestep_cond [B, G], the embedded guidance scale of LCM.
    """
    widths = {
        "text_embeds": checkpoint.pooled_width,
        "time_ids": checkpoint.time_ids,
        "timestep_cond": checkpoint.guidance_width,
    }
    conditions = {name: width for name, width in widths.items() if width is not None}

    def inputs(sample: Sample) -> dict[str, Tensor]:
        tokens = (sample.batch, sample.windows * checkpoint.window, sum(checkpoint.text_widths))
        # Time ids are pixels.
        scales = {"time_ids": 500.0}
        return {
            "sample": _latents(checkpoint, sample, checkpoint.unet_channels),
            # Different in every row: a graph that broadcasts one timestep must not pass for one that takes a batch.
            "timestep": torch.linspace(987.25, 3.5, sample.batch),
            "encoder_hidden_states": torch.randn(tokens, generator=_generator()),
            **{
                name: torch.randn((sample.batch, width), generator=_generator()) * scales.get(name, 1.0)
                for name, width in conditions.items()
            },
        }

    latents = {0: "batch", 2: "height", 3: "width"}
    axes = {
        "sample": latents,
        "timestep": {0: "batch"},
        "encoder_hidden_states": {0: "batch", 1: "tokens"},
        **{name: {0: "batch"} for name in conditions},
        "out_sample": latents,
    }
    return Graph(_UNet(checkpoint.unet, tuple(conditions)), inputs, ("out_sample",), axes)


def vae_decoder(checkpoint: Checkpoint) -> Graph:
    """LATENTS [B, C, h, w], as the UNet has them, to IMAGE [B, H, W, 3] of bytes."""

    def inputs(sample: Sample) -> dict[str, Tensor]:
        return {"LATENTS": _latents(checkpoint, sample, checkpoint.latent_channels)}

    axes = {
        "LATENTS": {0: "batch", 2: "latent_height", 3: "latent_width"},
        "IMAGE": {0: "batch", 1: "height", 2: "width"},
    }
    return Graph(_VaeDecoder(checkpoint.vae), inputs, ("IMAGE",), axes)


def vae_encoder(checkpoint: Checkpoint) -> Graph:
    """IMAGE [B, H, W, 3] of bytes to MEAN and STD [B, C, h, w] of the posterior, unscaled."""

    def inputs(sample: Sample) -> dict[str, Tensor]:
        return {"IMAGE": _bytes(sample, 3)}

    outputs = ("MEAN", "STD")
    return Graph(_VaeEncoder(checkpoint.vae), inputs, outputs, _encoder_axes(("IMAGE",), outputs))


def inpaint_encoder(checkpoint: Checkpoint) -> Graph:
    """IMAGE [B, H, W, 3] and MASK [B, H, W, 1] of bytes, 128 and more = repaint, to what inpainting starts from.

    That is MEAN, STD and MASKED_MEAN, MASKED_STD [B, C, h, w], the posteriors of the image and of its part to keep,
    unscaled, and LATENT_MASK [B, 1, h, w], 1 = repaint.
    """

    def inputs(sample: Sample) -> dict[str, Tensor]:
        mask = _bytes(sample, 1)
        # A random mask, one whose left half is white, a black one. None is all white: that leaves an even grey image,
        # of which the VAE's group norms make so much that FP32 itself is off by a hundredth (measured in float64).
        mask[1::3] = torch.where(torch.arange(sample.width) < sample.width // 2, 255, 0).to(torch.uint8)[:, None]
        mask[2::3] = 0
        return {"IMAGE": _bytes(sample, 3), "MASK": mask}

    outputs = ("MEAN", "STD", "MASKED_MEAN", "MASKED_STD", "LATENT_MASK")
    return Graph(_InpaintEncoder(checkpoint.vae), inputs, outputs, _encoder_axes(("IMAGE", "MASK"), outputs))


def _encoder_axes(pictures: Sequence[str], latents: Sequence[str]) -> dict[str, Mapping[int, str]]:
    axes: dict[str, Mapping[int, str]] = {name: {0: "batch", 1: "height", 2: "width"} for name in pictures}
    return axes | {name: {0: "batch", 2: "latent_height", 3: "latent_width"} for name in latents}


def _bytes(sample: Sample, channels: int) -> Tensor:
    shape = (sample.batch, sample.height, sample.width, channels)
    return torch.randint(256, shape, generator=_generator(), dtype=torch.uint8)


def _latents(checkpoint: Checkpoint, sample: Sample, channels: int) -> Tensor:
    factor = checkpoint.vae_scale_factor
    shape = (sample.batch, channels, sample.height // factor, sample.width // factor)
    return torch.randn(shape, generator=_generator())


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
