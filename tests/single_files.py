"""Single files of weights as Stable Diffusion and SDXL were first published in, made of diffusers components.

The names are those that `convert_ldm_unet_checkpoint`, `convert_ldm_vae_checkpoint`, `convert_ldm_clip_checkpoint` and
`convert_open_clip_checkpoint` of diffusers translate back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers.loaders.single_file_utils import DIFFUSERS_TO_LDM_MAPPING
from safetensors.torch import save_file
from torch import Tensor

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


# Of a layer of an OpenCLIP text encoder; queries, keys and values are one there.
_OPEN_CLIP = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


def write_single_file(pipeline: Any, file: Path) -> Path:
    """Writes UNet, VAE and text encoders of a StableDiffusionPipeline or StableDiffusionXLPipeline.

    Stable Diffusion 2, known by its UNet's linear projections, has its text encoder from OpenCLIP.
    """
    weights = {
        **{f"model.diffusion_model.{name}": tensor for name, tensor in _unet(pipeline.unet)},
        **{f"first_stage_model.{name}": tensor for name, tensor in _vae(pipeline.vae)},
    }
    if hasattr(pipeline, "text_encoder_2"):
        encoders = {
            "conditioner.embedders.0.transformer": _clip(pipeline.text_encoder),
            "conditioner.embedders.1.model": _open_clip(pipeline.text_encoder_2),
        }
    elif pipeline.unet.config.use_linear_projection:
        encoders = {"cond_stage_model.model": _open_clip(pipeline.text_encoder)}
    else:
        encoders = {"cond_stage_model.transformer": _clip(pipeline.text_encoder)}
    for place, named in encoders.items():
        weights |= {f"{place}.{name}": tensor for name, tensor in named}
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, file)
    return file


def write_vae_file(vae: Any, file: Path) -> Path:
    """Writes a VAE alone."""
    save_file({name: tensor.contiguous() for name, tensor in _vae(vae)}, file)
    return file


def _clip(encoder: Any) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in encoder.state_dict().items():
        # Newer versions of transformers leave the prefix out where there is no projection.
        yield name if name.startswith("text_") else f"text_model.{name}", tensor


def _open_clip(encoder: Any) -> Iterator[tuple[str, Tensor]]:
    plain: Mapping[str, str] = DIFFUSERS_TO_LDM_MAPPING["openclip"]["layers"]
    weights = dict(_clip(encoder))
    for name, tensor in weights.items():
        if name in plain:
            yield plain[name], tensor.T if name == "text_projection.weight" else tensor
            continue
        found = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name)
        assert found is not None, name
        layer, part, leaf = found.groups()
        place = f"transformer.resblocks.{layer}."
        if part in _OPEN_CLIP:
            yield f"{place}{_OPEN_CLIP[part]}.{leaf}", tensor
        elif part == "self_attn.q_proj":
            each = [weights[f"text_model.encoder.layers.{layer}.self_attn.{kind}_proj.{leaf}"] for kind in "qkv"]
            yield f"{place}attn.in_proj_{leaf}", torch.cat(each)


def _unet(unet: Any) -> Iterator[tuple[str, Tensor]]:
    names = DIFFUSERS_TO_LDM_MAPPING["unet"]
    plain: Mapping[str, str] = names["layers"] | names["addition_embed_type"]
    layers = unet.config.layers_per_block
    for name, tensor in unet.state_dict().items():
        if name in plain:
            yield plain[name], tensor
            continue
        if block := re.match(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.", name):
            side, kind, rest = block[1], block[3], name[block.end() :]
            index, layer = int(block[2]), int(block[4])
            if kind.endswith("samplers"):
                layer = layers
            place = index * (layers + 1) + layer + (1 if side == "down" else 0)
            # An upsampler comes behind what else its place holds.
            attends = f"up_blocks.{index}.attentions.0.norm.weight" in unet.state_dict()
            slot = {"resnets": 0, "attentions": 1, "downsamplers": 0, "upsamplers": 2 if attends else 1}[kind]
            stem = f"{'input' if side == 'down' else 'output'}_blocks.{place}.{slot}."
            if kind == "downsamplers":
                rest = rest.replace("conv.", "op.")
        else:
            middle = re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.", name)
            assert middle is not None, name
            kind, rest = middle[1], name[middle.end() :]
            stem = f"middle_block.{1 if kind == 'attentions' else 2 * int(middle[2])}."
        if kind == "resnets":
            part, _, leaf = rest.rpartition(".")
            rest = f"{_RESNET[part]}.{leaf}"
        yield stem + rest, tensor


def _vae(vae: Any) -> Iterator[tuple[str, Tensor]]:
    plain: Mapping[str, str] = DIFFUSERS_TO_LDM_MAPPING["vae"]
    last = len(vae.config.block_out_channels) - 1
    for name, tensor in vae.state_dict().items():
        if name in plain:
            yield plain[name], tensor
            continue
        renamed = name.replace("conv_shortcut", "nin_shortcut")
        renamed = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", renamed)
        renamed = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", renamed)
        renamed = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", renamed)
        renamed = re.sub(r"up_blocks\.(\d+)\.resnets", lambda found: f"up.{last - int(found[1])}.block", renamed)
        renamed = re.sub(
            r"up_blocks\.(\d+)\.upsamplers\.0", lambda found: f"up.{last - int(found[1])}.upsample", renamed
        )
        if "attentions" in renamed:
            stem, rest = renamed.split("mid_block.attentions.0.")
            part, _, leaf = rest.rpartition(".")
            renamed = f"{stem}mid.attn_1.{_VAE_ATTENTION[part]}.{leaf}"
            if tensor.ndim == 2:
                tensor = tensor[:, :, None, None]
        yield renamed, tensor
