"""Compares an exported graph, run by ONNX Runtime, with the torch module it was traced from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from export.errors import GraphMismatch
from export.graphs import Graph, Sample

# Of the largest value in torch's output. Different orders of FP32 summation differ by about 1e-6; wrong arithmetic by
# far more.
_RELATIVE_TOLERANCE: Final = 1e-4
# Pictures are rounded to bytes: a value that falls on the edge between two may go either way, one in a thousand does.
_BYTE_TOLERANCE: Final = 1
_BYTE_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far ONNX Runtime's output is from torch's.

    `absolute` is the largest difference, `relative` that over the largest magnitude in torch's output, `share` the part
    of all elements that differ at all.
    """

    model: str
    output: str
    sample: Sample
    absolute: float
    relative: float
    share: float
    within: bool

    def __str__(self) -> str:
        sample = self.sample
        return (
            f"{self.model} {self.output}: {sample.batch} of {sample.width}x{sample.height}, {sample.windows} windows "
            f"of text: largest difference {self.absolute:.2g}, relative {self.relative:.2g}, "
            f"{self.share:.2%} of elements differ"
        )


def compare(model: str, graph: Graph, path: Path, samples: tuple[Sample, ...]) -> list[Comparison]:
    """Runs both on each sample's inputs; raises GraphMismatch where an output is beyond tolerance."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    comparisons = []
    for sample in samples:
        inputs = graph.inputs(sample)
        with torch.no_grad():
            expected = graph.module(*inputs.values())
        actual = session.run(list(graph.outputs), {name: tensor.numpy() for name, tensor in inputs.items()})
        expected = expected if isinstance(expected, tuple) else (expected,)
        for output, torch_value, onnx_value in zip(graph.outputs, expected, actual, strict=True):
            comparison = _compare_output(model, output, sample, torch_value.numpy(), onnx_value)
            if not comparison.within:
                raise GraphMismatch(f"The exported graph differs from the checkpoint: {comparison}.")
            comparisons.append(comparison)
    return comparisons


def _compare_output(
    model: str, output: str, sample: Sample, expected: npt.NDArray[np.generic], actual: npt.NDArray[np.generic]
) -> Comparison:
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise GraphMismatch(
            f"The exported graph of {model} puts out {output} as {actual.dtype} {actual.shape}, "
            f"the checkpoint as {expected.dtype} {expected.shape}."
        )
    difference = np.abs(expected.astype(np.float64) - actual.astype(np.float64))
    absolute = float(difference.max())
    relative = absolute / (float(np.abs(expected.astype(np.float64)).max()) or 1.0)
    share = float((difference > 0).mean())
    if expected.dtype == np.uint8:
        within = absolute <= _BYTE_TOLERANCE and share <= _BYTE_SHARE
    else:
        within = relative <= _RELATIVE_TOLERANCE
    return Comparison(model, output, sample, absolute, relative, share, within)
