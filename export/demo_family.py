"""The export of the demo family and its upscaler: `python -m export.demo_family [REPOSITORY [CHECKPOINT]]`.

The repository that is checked in was made by this, and a test makes it again and compares.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from export.family import export_family
from export.options import ExportOptions, SizePolicy
from export.upscaler import export_upscaler

_ROOT: Final = Path(__file__).parents[1]
CHECKPOINT: Final = _ROOT / "export" / "demo" / "checkpoint"
UPSCALER: Final = _ROOT / "export" / "demo" / "upscaler.safetensors"
REPOSITORY: Final = _ROOT / "model_repository"


def demo_options(repository: Path = REPOSITORY, checkpoint: Path = CHECKPOINT) -> ExportOptions:
    """What the demo family says of itself."""
    return ExportOptions(
        checkpoint=str(checkpoint),
        name="demo",
        repository=repository,
        display_name="Demo",
        description="Simple scenes of coloured shapes, painted by a model small enough for two CPU cores.",
        source="export/demo/checkpoint",
        aliases=("starweave/demo",),
        default_steps=20,
        default_guidance_scale=5.0,
        size_policy=SizePolicy.FIT,
    )


if __name__ == "__main__":
    options = replace(demo_options(*map(Path, sys.argv[1:])), quality=True)
    export_family(options, click.echo)
    export_upscaler(UPSCALER, options.repository, click.echo)
