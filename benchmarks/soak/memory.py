"""Resident memory of a server's processes over time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.statistics import Estimate, bootstrap

_INTERVAL_SECONDS = 1.0
# Samples that follow one another hang together; means over some seconds hardly do.
_WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident bytes of all processes together, at a monotonic time in seconds."""

    at: float
    resident: int


class MemoryWatch:
    """Samples a process and its descendants, beside the load."""

    def __init__(self, root: int) -> None:
        self.samples: list[Sample] = []
        self._root = psutil.Process(root)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(_INTERVAL_SECONDS):
            resident = 0
            for process in (self._root, *self._root.children(recursive=True)):
                try:
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.samples.append(Sample(time.monotonic(), resident))


def growth(samples: list[Sample]) -> Estimate:
    """The slope of resident memory in MB a minute, with its 95 % interval.

    The interval is the percentile bootstrap's over windows of ten seconds.
    """
    windows: dict[int, list[Sample]] = {}
    for sample in samples:
        windows.setdefault(int((sample.at - samples[0].at) / _WINDOW_SECONDS), []).append(sample)
    points = [
        (np.mean([each.at for each in window]) / 60, np.mean([each.resident for each in window]) / 1e6)
        for window in windows.values()
    ]
    return bootstrap(np.array(points, np.float64), _slope)


def _slope(points: npt.NDArray[np.float64]) -> float:
    minutes, megabytes = points[:, 0] - points[:, 0].mean(), points[:, 1]
    spread = float(minutes @ minutes)
    # A resample of one window only has no slope.
    return float(minutes @ megabytes) / spread if spread else 0.0
