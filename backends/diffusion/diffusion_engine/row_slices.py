"""A UNet step on several processor cores, each of which takes a slice of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import onnxruntime

Array = npt.NDArray[np.float32]


class RowSlices:
    """Runs a graph over equal slices of the rows, side by side, each on one core from its first node to its last.

    The cores then meet once a step, and not at every node as the threads of one run do.
    """

    def __init__(self, session: onnxruntime.InferenceSession, cores: int) -> None:
        """`session` runs on its caller's thread alone (`intra_op_num_threads` 1); ONNX Runtime lets many run it."""
        self._session = session
        self._cores = cores
        self._others = ThreadPoolExecutor(cores - 1, "row-slices")

    def fit(self, rows: int) -> bool:
        """Whether every core gets as many rows: else some idle, which costs more than meeting at every node."""
        return rows % self._cores == 0

    def run(self, feeds: Mapping[str, Array]) -> Array:
        """The graph's first output for inputs of which the first axis are the rows."""
        share = len(feeds["sample"]) // self._cores
        slices = [
            {name: array[core * share : (core + 1) * share] for name, array in feeds.items()}
            for core in range(self._cores)
        ]
        others = [self._others.submit(self._run, each) for each in slices[1:]]
        return np.concatenate([self._run(slices[0]), *(other.result() for other in others)])

    def _run(self, feeds: Mapping[str, Array]) -> Array:
        output: Array = self._session.run(None, feeds)[0]
        return output
