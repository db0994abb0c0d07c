"""What a UNet step takes in torch and in ONNX Runtime, for a picture with guidance (two rows)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from benchmarks.bare_session import LATENT_CHANNELS, BareFamily
from benchmarks.family import Family
from benchmarks.loads import PIXELS_A_LATENT

_ROWS = 2


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Medians, in seconds, with all cores for either."""

    torch: float
    onnxruntime: float


def step_seconds(family: Family, repository: Path, runs: int) -> StepSeconds:
    """Measures both in turns, `runs` times."""
    torch.set_num_threads(os.cpu_count() or 1)
    unet: Any = UNet2DConditionModel.from_pretrained(family.checkpoint / "unet")  # type: ignore[no-untyped-call]
    unet.eval()
    bare = BareFamily(repository, family.name, os.cpu_count() or 1)
    side = family.native_size // PIXELS_A_LATENT
    sample = torch.randn(_ROWS, LATENT_CHANNELS, side, side)
    embeddings = torch.randn(_ROWS, family.tokens, unet.config.cross_attention_dim)
    timesteps = torch.full((_ROWS,), 500.0)

    def in_torch() -> None:
        with torch.inference_mode():
            unet(sample, timesteps, embeddings)

    def in_onnxruntime() -> None:
        bare.unet(sample.numpy(), np.float32(500), embeddings.numpy())

    of_torch, of_onnxruntime = [], []
    for _ in range(runs):
        of_torch.append(_seconds(in_torch))
        of_onnxruntime.append(_seconds(in_onnxruntime))
    return StepSeconds(float(np.median(of_torch)), float(np.median(of_onnxruntime)))


def _seconds(run: Callable[[], None]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before
