"""LoRA files of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers.utils import convert_state_dict_to_diffusers
from peft import LoraConfig, get_peft_model_state_dict


def write_lora(pipeline: Any, file: Path, seed: int) -> Path:
    """A LoRA for the UNet and the first text encoder of a pipeline, which is of no use afterwards."""
    torch.manual_seed(seed)
    layers = {}
    for component, targets in (("unet", ["to_q", "to_v", "to_out.0"]), ("text_encoder", ["q_proj", "v_proj"])):
        model = getattr(pipeline, component)
        # Not the usual initialisation, with which a LoRA that was never trained changes nothing.
        model.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=targets, init_lora_weights=False), "lora")
        weights = get_peft_model_state_dict(model, adapter_name="lora")
        layers[f"{component}_lora_layers"] = convert_state_dict_to_diffusers(weights)
    type(pipeline).save_lora_weights(file.parent, weight_name=file.name, **layers)
    return file
