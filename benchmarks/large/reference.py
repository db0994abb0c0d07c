"""One picture by diffusers: `python -m benchmarks.large.reference CHECKPOINT SETTINGS PICTURE`.

SETTINGS is a JSON object of the pipeline's arguments, with `seed`; PICTURE becomes a NumPy file, UINT8 [H, W, 3].
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline


def write_picture(checkpoint: str, settings: dict[str, Any], picture: str) -> None:
    """Loads the checkpoint and writes what it paints."""
    pipeline = StableDiffusionPipeline.from_pretrained(checkpoint)
    generator = torch.Generator("cpu").manual_seed(settings.pop("seed"))
    (image,) = pipeline(**settings, generator=generator).images
    np.save(picture, np.asarray(image))


if __name__ == "__main__":
    write_picture(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
