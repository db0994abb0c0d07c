"""How far an upscaler looks: what tiles of a picture must overlap by."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

# In pixels before upscaling. The last is as far as tiles ever overlap: of networks that look further, the far part
# hardly changes a pixel.
REACHES: Final = (4, 8, 12, 16, 24, 32, 48, 64)
_CORE: Final = 8
# A quarter of a byte: it may be rounded otherwise, but never by two.
_TOLERANCE: Final = 0.25 / 255


@torch.no_grad()
def measure_reach(network: nn.Module, multiple: int, smallest: int) -> int:
    """The least of REACHES at which the middle of a cut-out comes out as in the whole picture, or the last one.

    `network` maps [B, 3, H, W] to the same times its factor. Cut-outs have sides that are multiples of `multiple`,
    `smallest` or more, and lie at multiples of it.
    """
    core = math.ceil(_CORE / multiple) * multiple
    margins = [math.ceil(reach / multiple) * multiple for reach in REACHES]
    edge = max(margins[-1], math.ceil(smallest / 2 / multiple) * multiple) + multiple
    whole = noise(1, core + 2 * edge, core + 2 * edge, torch.Generator().manual_seed(0))
    expected = _middle(network(whole), whole, edge, core)
    for reach, margin in zip(REACHES, margins, strict=True):
        side = core + 2 * margin
        if side < smallest:
            continue
        start = edge - margin
        part = whole[..., start : start + side, start : start + side]
        if (_middle(network(part), part, margin, core) - expected).abs().max() <= _TOLERANCE:
            return reach
    return REACHES[-1]


def noise(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Pictures [B, 3, height, width] from 0 to 1 that hold every frequency: noise on flat patches of all sizes."""
    pictures = torch.zeros(batch, 3, height, width)
    for patch in (1, 4, 16):
        shape = (batch, 3, math.ceil(height / patch), math.ceil(width / patch))
        values = torch.rand(shape, generator=generator)
        pictures += values.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[..., :height, :width] / 3
    return pictures


def _middle(upscaled: Tensor, picture: Tensor, start: int, side: int) -> Tensor:
    factor = upscaled.shape[-1] // picture.shape[-1]
    rows = slice(start * factor, (start + side) * factor)
    return upscaled[..., rows, rows]
