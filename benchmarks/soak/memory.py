"""Resident memory of a server's processes over time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psutil

from benchmarks.process_usage import process_name
from benchmarks.statistics import Estimate, bootstrap

_INTERVAL_SECONDS = 1.0
# Samples that follow one another hang together; means over some seconds hardly do.
_WINDOW_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident bytes of each process by its name in reports, at a monotonic time in seconds."""

    at: float
    by_process: Mapping[str, int]

    @property
    def resident(self) -> int:
        """The bytes of all processes together."""
        return sum(self.by_process.values())


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
            resident = Counter[str]()
            for process in (self._root, *self._root.children(recursive=True)):
                try:
                    resident[process_name(process.cmdline()) or "supervisor"] += process.memory_info().rss
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


def growth_by_process(samples: list[Sample]) -> dict[str, Estimate]:
    """As `growth`, of each process that is in the first sample."""
    return {
        name: growth([Sample(sample.at, {name: sample.by_process.get(name, 0)}) for sample in samples])
        for name in samples[0].by_process
    }


def _slope(points: npt.NDArray[np.float64]) -> float:
    minutes, megabytes = points[:, 0] - points[:, 0].mean(), points[:, 1]
    spread = float(minutes @ minutes)
    # A resample of one window only has no slope.
    return float(minutes @ megabytes) / spread if spread else 0.0
