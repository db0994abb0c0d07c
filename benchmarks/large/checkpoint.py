"""Stable Diffusion checkpoints of the exact published configurations, with random weights.

`python -m benchmarks.large.checkpoint {sd15|sd21} FOLDER` writes one as a diffusers folder.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from export.demo_family import CHECKPOINT

_SEED: Final = 11
# Weights at their usual initialisation hardly heed prompt, guidance and steps: what passes these on is scaled up, until
# another value makes another picture.
_SCALES: Final[Mapping[str, float]] = {"attn2": 3.0, "time_emb_proj": 3.0, "conv_out": 5.0}
_BETAS: Final[Mapping[str, Any]] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True, slots=True)
class LargeKind:
    """A published configuration: what differs of text encoder, UNet and scheduler, and the UNet's parameter count."""

    text_encoder: Mapping[str, Any]
    unet: Mapping[str, Any]
    scheduler: Any
    parameters: int


KINDS: Final[Mapping[str, LargeKind]] = {
    # runwayml/stable-diffusion-v1-5
    "sd15": LargeKind(
        text_encoder={
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "hidden_act": "quick_gelu",
            "projection_dim": 768,
        },
        unet={"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
        scheduler=diffusers.PNDMScheduler(**_BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1),
        parameters=859_520_964,
    ),
    # stabilityai/stable-diffusion-2-1
    "sd21": LargeKind(
        text_encoder={
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 23,
            "num_attention_heads": 16,
            "hidden_act": "gelu",
            "projection_dim": 512,
        },
        unet={
            "sample_size": 96,
            "cross_attention_dim": 1024,
            "attention_head_dim": [5, 10, 20, 20],
            "use_linear_projection": True,
        },
        scheduler=diffusers.DDIMScheduler(
            **_BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction"
        ),
        parameters=865_910_724,
    ),
}


def write_checkpoint(kind: LargeKind, folder: Path) -> None:
    """Writes the folder; the weights are the same every time. Vocabulary: the demo's, in the published encoder."""
    torch.manual_seed(_SEED)
    tokenizer = CLIPTokenizer.from_pretrained(CHECKPOINT, subfolder="tokenizer", model_max_length=77)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **kind.text_encoder)  # type: ignore[arg-type]
    )
    unet: Any = diffusers.UNet2DConditionModel(**kind.unet)  # type: ignore[arg-type]
    count = sum(parameter.numel() for parameter in unet.parameters())
    if count != kind.parameters:
        raise RuntimeError(
            f"This diffusers makes a UNet of {count} parameters; the published one has {kind.parameters}."
        )
    vae: Any = diffusers.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=kind.unet["sample_size"] * 8,
    )
    _scale(text_encoder, {"embedding": 30.0})
    _scale(unet, _SCALES)
    _scale(vae, {"decoder.conv_out": 3.0})
    diffusers.StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=kind.scheduler,
        safety_checker=None,  # type: ignore[arg-type]
        feature_extractor=None,  # type: ignore[arg-type]
        requires_safety_checker=False,
    ).save_pretrained(folder)


def _scale(module: torch.nn.Module, scales: Mapping[str, float]) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            for part, factor in scales.items():
                if part in name:
                    parameter.mul_(factor)


if __name__ == "__main__":
    write_checkpoint(KINDS[sys.argv[1]], Path(sys.argv[2]))
