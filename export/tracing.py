"""Writes a graph as an ONNX file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import torch

from export.external_weights import gather
from export.graphs import Graph, Sample

# The newest that every Triton since 24.10 runs is 20; the TorchScript exporter is at its best tested with 18.
_OPSET: Final = 18


def trace(graph: Graph, path: Path, sample: Sample) -> None:
    """Traces `graph` on an example and writes it to `path`, weights beside it where they exceed protobuf's 2 GB.

    The example needs at least two pictures and two windows, so that neither count is taken for a constant.
    """
    inputs = graph.inputs(sample)
    with torch.no_grad(), warnings.catch_warnings():
        # The exporter warns that it is the older one of two, and of every shape that Python code looks at. What
        # matters of that is found by comparing the graph with torch at other sizes. The newer exporter, which traces
        # through torch.export, made a UNet of the same speed in six times the time.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            graph.module,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(graph.outputs),
            dynamic_axes=graph.dynamic_axes,
            opset_version=_OPSET,
            dynamo=False,
        )
    gather(path)
