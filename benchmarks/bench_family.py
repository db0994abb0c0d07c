"""The `bench` family: the demo's checkpoint with a larger UNet of random weights. Its pictures are noise.

A UNet row takes about 8 ms on two server cores, twice the demo's, so that fixed costs do not drown the ratios.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel

from export.demo_family import CHECKPOINT
from export.family import export_family
from export.options import ExportOptions, SizePolicy

NAME = "bench"
_CHANNELS = (80, 160, 256)
_SEED = 20
_EXPORT = Path(__file__).resolve().parent.parent / "export"


def make_bench_family(repository: Path, checkpoint: Path, report: Callable[[str], None]) -> None:
    """Writes the checkpoint folder and exports it into the repository, unless this very family is there already."""
    config = json.loads((CHECKPOINT / "unet" / "config.json").read_text()) | {"block_out_channels": list(_CHANNELS)}
    definition = _definition(config)
    stamp = checkpoint / "definition"
    if stamp.is_file() and stamp.read_text() == definition and (repository / NAME / "config.pbtxt").is_file():
        return
    shutil.rmtree(checkpoint, ignore_errors=True)
    shutil.copytree(CHECKPOINT, checkpoint, ignore=shutil.ignore_patterns("*.safetensors", "unet"))
    for part in ("text_encoder", "vae"):
        for weights in (CHECKPOINT / part).glob("*.safetensors"):
            (checkpoint / part / weights.name).symlink_to(weights)
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        unet: Any = UNet2DConditionModel.from_config(config)  # type: ignore[no-untyped-call]
    unet.save_pretrained(checkpoint / "unet")
    for model in repository.glob(f"{NAME}*"):
        shutil.rmtree(model)
    options = ExportOptions(
        checkpoint=str(checkpoint),
        name=NAME,
        repository=repository,
        display_name="Bench",
        description="Random weights, for benchmarks only.",
        source="benchmarks/bench_family.py",
        default_steps=20,
        default_guidance_scale=7.5,
        size_policy=SizePolicy.EXACT,
    )
    export_family(options, report)
    stamp.write_text(definition)


def _definition(config: dict[str, Any]) -> str:
    """What the exported family depends on, as a digest: the UNet, the demo's other parts, and the exporter."""
    digest = hashlib.sha256(json.dumps([config, _SEED], sort_keys=True).encode())
    for source in (*sorted(_EXPORT.glob("*.py")), *sorted(CHECKPOINT.rglob("*.safetensors"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()
