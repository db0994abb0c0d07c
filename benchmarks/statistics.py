"""Figures of latencies, and intervals over repeated trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_RESAMPLES = 2000
_CONFIDENCE = 0.95

Statistic = Callable[[npt.NDArray[np.float64]], float]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Mean and percentiles of some measurements, in their unit."""

    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Distribution:
        """The distribution of at least one value; percentiles are interpolated linearly."""
        p50, p95, p99 = np.percentile(values, [50, 95, 99])
        return cls(float(np.mean(values)), float(p50), float(p95), float(p99))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval and the number of trials that it comes from."""

    value: float
    low: float
    high: float
    trials: int

    def __str__(self) -> str:
        if self.trials < 2:
            return f"{self.value:.3g}"
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def over_trials(values: Sequence[float], seed: int = 0) -> Estimate:
    """The mean over trials, with the percentile bootstrap's interval (Efron 1979)."""
    return bootstrap(np.asarray(values, np.float64), lambda sample: float(sample.mean()), seed)


def ratio_of_trials(numerators: Sequence[float], denominators: Sequence[float], seed: int = 0) -> Estimate:
    """The ratio of two means over trials that were made in pairs, with the bootstrap's interval over the pairs."""
    pairs = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)], axis=-1)
    return bootstrap(pairs, lambda sample: float(sample[:, 0].mean() / sample[:, 1].mean()), seed)


def bootstrap(trials: npt.NDArray[np.float64], statistic: Statistic, seed: int = 0) -> Estimate:
    """A statistic of trials (the first axis) and its 95 % interval by the percentile bootstrap."""
    rng = np.random.default_rng(seed)
    count = len(trials)
    resampled = [statistic(trials[rng.integers(count, size=count)]) for _ in range(_RESAMPLES if count > 1 else 1)]
    low, high = np.percentile(resampled, [50 * (1 - _CONFIDENCE), 50 * (1 + _CONFIDENCE)])
    return Estimate(statistic(trials), float(low), float(high), count)
