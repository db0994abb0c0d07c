"""Workloads and arrivals."""

from __future__ import annotations

import itertools
import statistics

import pytest

from benchmarks.loads import SAMPLERS, ClosedLoop, OpenLoop, Sizes, Workload, draw, poisson_arrivals

SIZES = Sizes(128, 256)


@pytest.mark.parametrize("workload", Workload)
def test_a_seed_names_a_load(workload: Workload) -> None:
    assert draw(workload, 50, SIZES, 7) == draw(workload, 50, SIZES, 7)
    assert draw(workload, 50, SIZES, 7) != draw(workload, 50, SIZES, 8)
    assert poisson_arrivals(3, 50, 7) == poisson_arrivals(3, 50, 7)
    assert poisson_arrivals(3, 50, 7) != poisson_arrivals(3, 50, 8)


def test_the_workloads_are_what_they_say() -> None:
    uniform = draw(Workload.UNIFORM, 1000, SIZES, 0)
    assert {(each.steps, each.guidance_scale, each.size) for each in uniform} == {(20, 7.5, 128)}
    assert len({each.seed for each in uniform}) > 990

    mixed = draw(Workload.MIXED, 2000, SIZES, 0)
    assert {each.steps for each in mixed} == set(range(8, 51))
    assert {each.guidance_scale for each in mixed} == {1, 4, 7.5, 12}
    assert {each.sampler for each in mixed} == set(SAMPLERS)
    assert 0.03 < sum(each.size == 256 for each in mixed) / 2000 < 0.07

    realistic = draw(Workload.REALISTIC, 2000, SIZES, 0)
    default = sum((each.steps, each.guidance_scale, each.sampler) == (20, 7.5, "ddim") for each in realistic)
    assert 0.57 < default / 2000 < 0.64


def test_arrivals_come_at_the_rate_asked_for() -> None:
    times = poisson_arrivals(4, 4000, 1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert statistics.mean(gaps) == pytest.approx(0.25, rel=0.05)
    # An exponential distribution's standard deviation is its mean.
    assert statistics.stdev(gaps) == pytest.approx(0.25, rel=0.05)


def test_an_open_loop_gives_everything_out_once_and_in_time() -> None:
    pictures = draw(Workload.UNIFORM, 3, SIZES, 0)
    load = OpenLoop(pictures, [1.0, 2.0, 3.0])
    assert load.due(0.5) == []
    assert load.due(2.0) == [(1.0, pictures[0]), (2.0, pictures[1])]
    assert load.next_arrival() == 3
    assert load.due(9) == [(3.0, pictures[2])]
    assert load.next_arrival() is None


def test_a_closed_loop_asks_again_only_after_an_answer() -> None:
    load = ClosedLoop(draw(Workload.UNIFORM, 5, SIZES, 0), clients=2)
    assert len(load.due(0)) == 2
    assert load.next_arrival() is None
    load.on_finished(4.0)
    assert [arrival for arrival, _ in load.due(4.0)] == [4.0]
    load.on_finished(5.0)
    load.on_finished(6.0)
    load.on_finished(6.0)
    assert len(load.due(6.0)) == 2
    assert load.next_arrival() is None
