"""Confidence intervals of means."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_RESAMPLES = 4000
# The same ratings get the same interval every time.
_SEED = 0
_VALUES_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the interval that holds the true one with a confidence of 95 %.

    `low` and `high` are None where there are fewer than two values to judge the spread by.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Tells whether the sign of the value is beyond chance."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The mean of independent values, None without any; bootstrap percentiles (Efron, 1979)."""
    if not values:
        return None
    means = _bootstrap(np.array(values, np.float64))
    return _interval(float(np.mean(values)), means, len(values) > 1)


def difference_interval(values: Sequence[float], others: Sequence[float]) -> Interval | None:
    """How much the mean of `values` is above that of `others`, None where one of them is empty."""
    if not values or not others:
        return None
    differences = _bootstrap(np.array(values, np.float64)) - _bootstrap(np.array(others, np.float64), _SEED + 1)
    value = float(np.mean(values) - np.mean(others))
    return _interval(value, differences, min(len(values), len(others)) > 1)


def _bootstrap(values: NDArray[np.float64], seed: int = _SEED) -> NDArray[np.float64]:
    rng, count = np.random.default_rng(seed), len(values)
    # Some resamples at a time: all of many values at once would take gigabytes.
    rows = max(1, _VALUES_AT_ONCE // count)
    parts = [min(rows, _RESAMPLES - start) for start in range(0, _RESAMPLES, rows)]
    return np.concatenate([values[rng.integers(count, size=(part, count))].mean(axis=1) for part in parts])


def _interval(value: float, means: NDArray[np.float64], is_known: bool) -> Interval:
    if not is_known:
        return Interval(value, None, None)
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(value, float(low), float(high))
