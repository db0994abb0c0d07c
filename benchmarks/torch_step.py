"""What a UNet step takes in torch and in ONNX Runtime, for pictures with guidance (two rows each).

Both are arranged as the STARWEAVE-style baseline is at its best, so that what batching or more parallel work gain is
not counted as ONNX Runtime's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel

from benchmarks.bare_session import LATENT_CHANNELS, BareFamily
from benchmarks.family import Family
from benchmarks.loads import PIXELS_A_LATENT
from benchmarks.starweave_baseline import Workers

_ROWS = 2


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Medians, in seconds, of a step of each worker, all workers at work."""

    torch: float
    onnxruntime: float


def step_seconds(family: Family, repository: Path, runs: int, workers: Workers) -> StepSeconds:
    """Measures both in turns, `runs` times."""
    unet: Any = UNet2DConditionModel.from_pretrained(family.checkpoint / "unet")  # type: ignore[no-untyped-call]
    unet.eval()
    bare = BareFamily(repository, family.name, workers.threads)
    side = family.native_size // PIXELS_A_LATENT
    sample = torch.randn(_ROWS, LATENT_CHANNELS, side, side)
    embeddings = torch.randn(_ROWS, family.tokens, unet.config.cross_attention_dim)
    timesteps = torch.full((_ROWS,), 500.0)

    def in_torch() -> None:
        with torch.inference_mode():
            unet(sample, timesteps, embeddings)

    def in_onnxruntime() -> None:
        bare.unet(sample.numpy(), np.float32(500), embeddings.numpy())

    # The number of torch's threads is that of each thread which asks for it.
    with ThreadPoolExecutor(workers.workers, initializer=torch.set_num_threads, initargs=(workers.threads,)) as pool:
        of_torch, of_onnxruntime = [], []
        for _ in range(runs):
            of_torch.append(_seconds(pool, workers.workers, in_torch))
            of_onnxruntime.append(_seconds(pool, workers.workers, in_onnxruntime))
    return StepSeconds(float(np.median(of_torch)), float(np.median(of_onnxruntime)))


def _seconds(pool: ThreadPoolExecutor, workers: int, run: Callable[[], None]) -> float:
    before = time.perf_counter()
    for step in [pool.submit(run) for _ in range(workers)]:
        step.result()
    return time.perf_counter() - before
