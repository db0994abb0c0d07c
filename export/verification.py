"""Compares an exported graph, run by ONNX Runtime, with the torch module it was traced from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from export.errors import GraphMismatch
from export.graphs import Graph, Sample


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What passes for the same result: floats by `relative`, of torch's largest value; bytes, which are rounded, by
    `levels`, the largest difference, and `share`, the part of them that differ."""

    relative: float
    levels: int
    share: float

    def summed_over(self, pixels: int) -> Tolerance:
        """The same for pictures of so many pixels: what a running sum in FP32 is off by grows with its terms."""
        grown = self.relative * max(1.0, pixels / _FEW_PIXELS)
        return replace(self, relative=max(self.relative, min(grown, _MOST)))


# ONNX Runtime's group norms sum a VAE's channels over all pixels in one go. For a masked picture of 512x512, of which
# half is even, the encoder's latents are off by 1e-3 of the largest, where torch's are by 1.4e-6 (both measured against
# float64): far below what a picture shows.
_FEW_PIXELS: Final = 128 * 128
_MOST: Final = 1e-2

# Different orders of FP32 summation differ by about 1e-6 and, at the edge between two bytes, in one of a thousand;
# wrong arithmetic differs by far more.
FP32_TOLERANCE: Final = Tolerance(1e-4, 1, 0.01)
# FP16 rounds every value by up to 5e-4: a picture's levels, 256 of them, by a seventh of one on the way out alone.
FP16_TOLERANCE: Final = Tolerance(1e-2, 2, 0.2)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far ONNX Runtime's output, of this shape, is from torch's.

    `absolute` is the largest difference, `relative` that over the largest magnitude in torch's output, `share` the part
    of all elements that differ at all; bytes are judged by the first and the last, floats by the second.
    """

    part: str
    output: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    share: float
    bytes: bool

    def within(self, tolerance: Tolerance) -> bool:
        """Whether the difference is what rounding and another order of summation explain."""
        if self.bytes:
            return self.absolute <= tolerance.levels and self.share <= tolerance.share
        return self.relative <= tolerance.relative

    def __str__(self) -> str:
        judged = (
            f"{self.share:.3%} of bytes differ, by at most {self.absolute:g}"
            if self.bytes
            else f"relative error {self.relative:.1e} (largest difference {self.absolute:.1e})"
        )
        return f"{self.part}, {self.output} {list(self.shape)}: {judged}"


def compare(
    part: str, graph: Graph, path: Path, samples: Iterable[Sample], tolerance: Tolerance = FP32_TOLERANCE
) -> Iterator[Comparison]:
    """Runs both on each sample's inputs; raises GraphMismatch at the first output that is not close."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for sample in samples:
        inputs = graph.inputs(sample)
        with torch.no_grad():
            expected = graph.module(*inputs.values())
        actual = session.run(list(graph.outputs), {name: tensor.numpy() for name, tensor in inputs.items()})
        expected = expected if isinstance(expected, tuple) else (expected,)
        for output, ours, theirs in zip(graph.outputs, actual, expected, strict=True):
            comparison = _compare_output(part, output, ours, theirs.numpy())
            if not comparison.within(tolerance.summed_over(sample.width * sample.height)):
                raise GraphMismatch(f"The exported graph differs from the checkpoint: {comparison}.")
            yield comparison


def _compare_output(
    part: str, output: str, actual: npt.NDArray[np.generic], expected: npt.NDArray[np.generic]
) -> Comparison:
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise GraphMismatch(
            f"The exported graph of the {part} puts out {output} as {actual.dtype} {list(actual.shape)}, "
            f"the checkpoint as {expected.dtype} {list(expected.shape)}."
        )
    reference = expected.astype(np.float64)
    difference = np.abs(reference - actual.astype(np.float64))
    # A graph that makes NaN of what torch makes a number of is infinitely far off.
    absolute = float(np.nan_to_num(difference, nan=np.inf).max())
    return Comparison(
        part=part,
        output=output,
        shape=expected.shape,
        absolute=absolute,
        relative=absolute / (float(np.abs(reference).max()) or 1.0),
        share=float((difference != 0).mean()),
        bytes=expected.dtype == np.uint8,
    )
