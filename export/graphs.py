"""The graphs of a family: torch modules with the tensors that Triton's models have at their boundaries.

optimum's exporters have other boundaries (a scalar timestep, scaled float images, one window of text), so three of its
four graphs would be wrapped anyway; tracing our own modules is the shorter way to the same `torch.onnx.export`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel

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
    def __init__(self, encoder: CLIPTextModel, window: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.window = window

    def forward(self, input_ids: Tensor) -> Tensor:
        # Every window is a sequence of its own, so its positions start at 0.
        windows = input_ids.reshape(-1, self.window)
        hidden = self.encoder(input_ids=windows).last_hidden_state
        embeddings: Tensor = hidden.reshape(input_ids.shape[0], -1, hidden.shape[-1])
        return embeddings


class _UNet(nn.Module):
    def __init__(self, unet: Any) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        prediction: Tensor = self.unet(sample, timestep, encoder_hidden_states, return_dict=False)[0]
        return prediction


class _VaeDecoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        config = self.vae.config
        pixels = self.vae.decode(latents / config.scaling_factor + (config.shift_factor or 0.0), return_dict=False)[0]
        # As diffusers' VaeImageProcessor: denormalize, pt_to_numpy, numpy_to_pil; both round half to even.
        unit = (pixels * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
        image: Tensor = (unit * 255).round().to(torch.uint8)
        return image


class _VaeEncoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        pixels = image.permute(0, 3, 1, 2).to(torch.float32) / 255 * 2 - 1
        posterior = self.vae.encode(pixels).latent_dist
        return posterior.mean, posterior.std


def text_encoder(checkpoint: Checkpoint) -> Graph:
    """INPUT_IDS [B, k*L] to EMBEDDINGS [B, k*L, D], the last hidden state of k windows of L tokens."""

    def inputs(sample: Sample) -> dict[str, Tensor]:
        shape = (sample.batch, sample.windows * checkpoint.window)
        ids = torch.randint(checkpoint.text_encoder.config.vocab_size, shape, generator=_generator())
        return {"INPUT_IDS": ids}

    axes = {0: "batch", 1: "tokens"}
    module = _TextEncoder(checkpoint.text_encoder, checkpoint.window)
    return Graph(module, inputs, ("EMBEDDINGS",), {"INPUT_IDS": axes, "EMBEDDINGS": axes})


def unet(checkpoint: Checkpoint) -> Graph:
    """sample [B, C, h, w], timestep [B] (fractional ones too) and encoder_hidden_states [B, T, D] to out_sample."""

    def inputs(sample: Sample) -> dict[str, Tensor]:
        tokens = (sample.batch, sample.windows * checkpoint.window, checkpoint.text_width)
        return {
            **_latents("sample", checkpoint, sample),
            # Different in every row: a graph that broadcasts one timestep must not pass for one that takes a batch.
            "timestep": torch.linspace(987.25, 3.5, sample.batch),
            "encoder_hidden_states": torch.randn(tokens, generator=_generator()),
        }

    latents = {0: "batch", 2: "height", 3: "width"}
    axes = {
        "sample": latents,
        "timestep": {0: "batch"},
        "encoder_hidden_states": {0: "batch", 1: "tokens"},
        "out_sample": latents,
    }
    return Graph(_UNet(checkpoint.unet), inputs, ("out_sample",), axes)


def vae_decoder(checkpoint: Checkpoint) -> Graph:
    """LATENTS [B, C, h, w], as the UNet has them, to IMAGE [B, H, W, 3] of bytes."""
    axes = {
        "LATENTS": {0: "batch", 2: "latent_height", 3: "latent_width"},
        "IMAGE": {0: "batch", 1: "height", 2: "width"},
    }
    module = _VaeDecoder(checkpoint.vae)
    return Graph(module, lambda sample: _latents("LATENTS", checkpoint, sample), ("IMAGE",), axes)


def vae_encoder(checkpoint: Checkpoint) -> Graph:
    """IMAGE [B, H, W, 3] of bytes to MEAN and STD [B, C, h, w] of the posterior, unscaled."""

    def inputs(sample: Sample) -> dict[str, Tensor]:
        shape = (sample.batch, sample.height, sample.width, 3)
        return {"IMAGE": torch.randint(256, shape, generator=_generator(), dtype=torch.uint8)}

    latents = {0: "batch", 2: "latent_height", 3: "latent_width"}
    axes = {"IMAGE": {0: "batch", 1: "height", 2: "width"}, "MEAN": latents, "STD": latents}
    return Graph(_VaeEncoder(checkpoint.vae), inputs, ("MEAN", "STD"), axes)


def _latents(name: str, checkpoint: Checkpoint, sample: Sample) -> dict[str, Tensor]:
    factor = checkpoint.vae_scale_factor
    shape = (sample.batch, checkpoint.latent_channels, sample.height // factor, sample.width // factor)
    return {name: torch.randn(shape, generator=_generator())}


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
