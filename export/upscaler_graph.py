"""The graph of an upscaler, written for pictures of any size where its network allows that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import torch
from torch import Tensor, nn

from export.errors import GraphMismatch, UnsupportedCheckpoint
from export.graphs import Graph, Sample
from export.reach import noise
from export.tensors import IMAGE, UPSCALED
from export.tracing import trace
from export.upscaler_checkpoint import Network, UpscalerCheckpoint
from export.verification import Comparison, compare


@dataclass(frozen=True, slots=True)
class WrittenGraph:
    """How close a graph is to its network, and whether it takes one picture of one size only, the largest tile's."""

    comparisons: tuple[Comparison, ...]
    one_shape: bool


class _Upscaler(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        upscaled = self.network(image.permute(0, 3, 1, 2).to(torch.float32) / 255)
        picture: Tensor = (upscaled.clamp(0, 1).permute(0, 2, 3, 1) * 255).round().to(torch.uint8)
        return picture


def write_graph(checkpoint: UpscalerCheckpoint, path: Path, report: Callable[[str], None]) -> WrittenGraph:
    """Writes IMAGE [B, H, W, 3] of bytes to UPSCALED [B, factor*H, factor*W, 3], and compares it with torch.

    A network whose code looks at the shape of what it is traced on (window attention makes its masks for it) gets a
    graph of one shape. Raises GraphMismatch, or UnsupportedCheckpoint for a network that no graph can be made of.
    """
    small, large, step = checkpoint.smallest_tile, checkpoint.largest_tile, checkpoint.size_multiple
    reason: Exception | None = None
    for one_shape, samples in (
        (False, (Sample(2, small, small + step, 1), Sample(3, small + 3 * step, small + 2 * step, 1))),
        (True, (Sample(1, large, large, 1),)),
    ):
        graph = _graph(checkpoint.network, one_shape)
        comparisons = []
        try:
            trace(graph, path, samples[0])
            for comparison in compare("upscaler", graph, path, samples):
                report(f"Compared {comparison}.")
                comparisons.append(comparison)
            return WrittenGraph(tuple(comparisons), one_shape)
        except Exception as error:
            # Exporter and ONNX Runtime refuse in many ways what they cannot do.
            reason = error
            for part in path.parent.iterdir():
                part.unlink()
    if isinstance(reason, GraphMismatch):
        raise reason
    raise UnsupportedCheckpoint(
        f"No graph can be made of the {checkpoint.architecture} network in {checkpoint.source!r}: "
        f"{shorten(str(reason), 200)}"
    ) from reason


def _graph(network: Network, one_shape: bool) -> Graph:
    # One for all inputs, so that none equals what the graph was traced on.
    generator = torch.Generator().manual_seed(0)

    def inputs(sample: Sample) -> dict[str, Tensor]:
        pictures = noise(sample.batch, sample.height, sample.width, generator) * 255
        return {IMAGE.name: pictures.permute(0, 2, 3, 1).to(torch.uint8).contiguous()}

    def axes(prefix: str) -> dict[int, str]:
        return {} if one_shape else {0: "batch", 1: f"{prefix}height", 2: f"{prefix}width"}

    return Graph(
        _Upscaler(network),
        inputs,
        (UPSCALED.name,),
        {IMAGE.name: axes(""), UPSCALED.name: axes("upscaled_")},
    )
