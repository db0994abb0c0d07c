"""Figures and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.statistics import Distribution, over_trials, ratio_of_trials


def test_a_distribution_has_mean_and_percentiles() -> None:
    distribution = Distribution.of([float(value) for value in range(101)])
    assert (distribution.mean, distribution.p50, distribution.p95, distribution.p99) == (50, 50, 95, 99)


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    estimates = [over_trials(rng.normal(10, 2, size=20).tolist()) for _ in range(100)]
    covered = sum(estimate.low <= 10 <= estimate.high for estimate in estimates)
    assert 85 <= covered <= 99


def test_one_trial_has_no_interval_to_show() -> None:
    estimate = over_trials([3.0])
    assert (estimate.value, estimate.low, estimate.high, str(estimate)) == (3, 3, 3, "3")


def test_paired_trials_keep_their_ratio_where_the_machine_slows_down() -> None:
    theirs = [1.0, 2.0, 4.0]
    estimate = ratio_of_trials([2 * value for value in theirs], theirs)
    assert estimate.value == estimate.low == estimate.high == pytest.approx(2)
