"""Checkpoints of every kind that can be exported: diffusers' real classes, random weights, small enough for seconds.

Weights at their usual initialisation hardly heed prompt, guidance or sizes, so that a comparison of pictures would
prove nothing. What passes these on is therefore scaled up until another value makes another picture.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tests.checkpoint import CHECKPOINT

# The native width and height of them all.
PIXELS = 32
_POOLED = 24
_SCHEDULE: Mapping[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A pipeline class with the scheduler that decides the rest of its kind; equal `weights` are equal weights."""

    pipeline: str
    weights: str
    scheduler: Any


def _ddim(**config: Any) -> Any:
    return diffusers.DDIMScheduler(**_SCHEDULE, clip_sample=False, set_alpha_to_one=False, **config)


def kinds() -> dict[str, Kind]:
    """All kinds by the names of the families that they become."""
    trailing = {"timestep_spacing": "trailing"}
    zero_snr = {"rescale_betas_zero_snr": True, **trailing}
    return {
        "sd2": Kind("StableDiffusionPipeline", "sd2", _ddim(steps_offset=1, prediction_type="v_prediction")),
        "zero_snr": Kind("StableDiffusionPipeline", "sd2", _ddim(prediction_type="v_prediction", **zero_snr)),
        "sd_turbo": Kind("StableDiffusionPipeline", "sd2", diffusers.EulerDiscreteScheduler(**_SCHEDULE, **trailing)),
        "lcm": Kind("LatentConsistencyModelPipeline", "lcm", diffusers.LCMScheduler(**_SCHEDULE)),
        "repainting": Kind("StableDiffusionInpaintPipeline", "repainting", _ddim(steps_offset=1)),
        "sdxl": Kind(
            "StableDiffusionXLPipeline",
            "sdxl",
            diffusers.EulerDiscreteScheduler(**_SCHEDULE, steps_offset=1, timestep_spacing="leading"),
        ),
        "sdxl_turbo": Kind(
            "StableDiffusionXLPipeline", "sdxl", diffusers.EulerAncestralDiscreteScheduler(**_SCHEDULE, **trailing)
        ),
        "sdxl_lightning": Kind(
            "StableDiffusionXLPipeline", "sdxl", diffusers.EulerDiscreteScheduler(**_SCHEDULE, **trailing)
        ),
        "sd1": Kind(
            "StableDiffusionPipeline", "sd1", diffusers.PNDMScheduler(**_SCHEDULE, skip_prk_steps=True, steps_offset=1)
        ),
    }


def components(kind: Kind) -> dict[str, Any]:
    """What the pipeline is made of, without the scheduler; the same numbers every time."""
    padding = "!" if kind.weights == "sd2" else "<|endoftext|>"
    made: dict[str, Any] = {"tokenizer": _tokenizer(padding), "vae": vae()}
    if kind.weights == "sdxl":
        made |= {
            "text_encoder": _text_encoder(CLIPTextModel, 32),
            "tokenizer_2": _tokenizer("!"),
            "text_encoder_2": _text_encoder(CLIPTextModelWithProjection, 48, projection_dim=_POOLED, hidden_act="gelu"),
        }
        unet = _unet(
            cross_attention_dim=80,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=_POOLED + 6 * 8,
            use_linear_projection=True,
        )
    else:
        made["text_encoder"] = _text_encoder(CLIPTextModel, 32)
        further: dict[str, Any] = {
            "sd1": {},
            "sd2": {"use_linear_projection": True, "attention_head_dim": (4, 8)},
            "lcm": {"time_cond_proj_dim": 16},
            "repainting": {"in_channels": 9},
        }[kind.weights]
        unet = _unet(cross_attention_dim=32, **further)
    return made | {"unet": unet}


def pipeline(kind: Kind, parts: Mapping[str, Any]) -> Any:
    """The kind's own pipeline of these components."""
    checker = {} if kind.weights == "sdxl" else {"safety_checker": None, "feature_extractor": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = getattr(diffusers, kind.pipeline)(scheduler=kind.scheduler, **parts, **checker)
    made.set_progress_bar_config(disable=True)
    return made


def save(kind: Kind, folder: Path) -> Path:
    """Writes the kind's checkpoint as a diffusers folder."""
    pipeline(kind, components(kind)).save_pretrained(folder)
    return folder


def vae(seed: int = 0) -> Any:
    """An AutoencoderKL of 2 pixels to a latent, whose pictures are of strong colours."""
    torch.manual_seed(seed)
    made = diffusers.AutoencoderKL(
        block_out_channels=(8, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=PIXELS,
    ).eval()
    _scale(made, "encoder.conv_out", 4.0)
    _scale(made, "decoder.conv_out", 3.0)
    return made


def _tokenizer(padding: str) -> CLIPTokenizer:
    tokenizer = CLIPTokenizer.from_pretrained(CHECKPOINT, subfolder="tokenizer")
    tokenizer.pad_token = padding
    return tokenizer


def _text_encoder(kind: Any, width: int, **config: Any) -> Any:
    tokenizer = _tokenizer("!")
    made = kind(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **config,
        )
    ).eval()
    _scale(made, "embedding", 30.0)
    _scale(made, "text_projection", 30.0)
    return made


def _unet(**config: Any) -> Any:
    made = diffusers.UNet2DConditionModel(
        **{
            "sample_size": PIXELS // 2,
            "in_channels": 4,
            "out_channels": 4,
            "block_out_channels": (16, 32),
            "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "attention_head_dim": 4,
            **config,
        }
    ).eval()
    _scale(made, "attn2", 3.0)
    _scale(made, "add_embedding", 8.0)
    _scale(made, "cond_proj", 3.0)
    _scale(made, "time_emb_proj", 3.0)
    _scale(made, "conv_out", 5.0)
    return made


def _scale(module: torch.nn.Module, part: str, factor: float) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if part in name:
                parameter.mul_(factor)
