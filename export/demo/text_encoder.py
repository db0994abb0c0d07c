"""The demo's text encoder and its layout heads: how they are made, kept and fed."""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from export.demo.layout import LayoutHeads

WIDTH = 128
_HEADS_FILE = "layout_heads.safetensors"


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """An untrained CLIP text encoder of 0.6 M parameters."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=384,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Tensor:
    """Captions as int64 (N, L): start, tokens, and the end token up to the full length L, which is also the padding."""
    ids: Tensor = tokenizer(
        list(captions), padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt"
    ).input_ids
    return ids


def load_heads(work: Path) -> LayoutHeads:
    """The layout heads kept in a folder by `save_heads`."""
    heads = LayoutHeads(WIDTH)
    load_model(heads, work / _HEADS_FILE)
    return heads


def save_heads(heads: LayoutHeads, work: Path) -> None:
    """Keeps the layout heads for further training; no pipeline needs them."""
    with torch.no_grad():
        save_model(heads, str(work / _HEADS_FILE))
