"""How a soak and an overload are judged."""

from __future__ import annotations

import random

import pytest

from benchmarks.soak.callers import Answer
from benchmarks.soak.memory import Sample, growth, growth_by_process
from benchmarks.soak.soak import findings as soak_findings
from benchmarks.verify.findings import Findings
from benchmarks.verify.parts import overload


def samples(megabytes_a_minute: float) -> list[Sample]:
    """Ten minutes of a server of 500 MB that grows."""
    rng = random.Random(3)
    return [
        Sample(
            second,
            {"bridge": 90_000_000, "triton": round(1e6 * (410 + megabytes_a_minute * second / 60 + rng.gauss(0, 2)))},
        )
        for second in range(600)
    ]


def answers(failed: int = 0, slower: float = 1.0) -> list[Answer]:
    """Two thousand valid calls of 0.1 s and some wrong ones, in ten minutes."""
    return [
        Answer(index * 0.3, 0.1 * (slower if index > 1000 else 1), "UNAVAILABLE: gone" if index < failed else "", True)
        for index in range(2000)
    ] + [Answer(600, 0.01, "", False)]


# Slower than what is measured.
WARM_UP = [Answer(index - 1000, 0.5, "", True) for index in range(1000)]


def failed(findings: Findings) -> list[str]:
    return [check.sentence for check in findings.checks if not check.held]


@pytest.mark.parametrize("slope", [0.0, 0.5, 5.0])
def test_growth_is_found_under_noise(slope: float) -> None:
    found = growth(samples(slope))
    assert found.low <= slope <= found.high
    assert found.high - found.low < 1


def test_growth_is_told_of_the_process_that_grows() -> None:
    found = growth_by_process(samples(5.0))
    assert found["bridge"].value == pytest.approx(0)
    assert found["triton"].low <= 5 <= found["triton"].high


def test_a_calm_soak_holds() -> None:
    assert failed(soak_findings(WARM_UP, answers(failed=2), samples(0.0), [])) == []


@pytest.mark.parametrize(
    ("warm_up", "calls", "growing", "leaks", "sentence"),
    [
        (WARM_UP, answers(failed=4), 0.0, [], "valid requests succeed"),
        ([Answer(-1, 0.1, "UNAVAILABLE: gone", True)] * 3, answers(), 0.0, [], "valid requests succeed"),
        ([Answer(-1, 0.1, "answered", False)], answers(), 0.0, [], "Wrong requests"),
        (WARM_UP, answers(slower=1.5), 0.0, [], "median time"),
        (WARM_UP, answers(), 2.0, [], "Resident memory"),
        (WARM_UP, answers(), 0.0, ["9 processes, 8 before"], "left over"),
    ],
)
def test_each_claim_of_a_soak_can_fail(
    warm_up: list[Answer], calls: list[Answer], growing: float, leaks: list[str], sentence: str
) -> None:
    (found,) = failed(soak_findings(warm_up, calls, samples(growing), leaks))
    assert sentence in found


def loaded(made: int, refusal_seconds: float = 0.01, other: int = 0, seconds: float = 2.0) -> list[overload.Answer]:
    """A turn of 40 seconds at five times a capacity of ten pictures a second."""
    rest = 2000 - made - other
    return [
        *(overload.Answer(index * 40 / made, index * 40 / made + seconds, "") for index in range(made)),
        *(overload.Answer(1, 1 + refusal_seconds, "RESOURCE_EXHAUSTED") for _ in range(rest)),
        *(overload.Answer(1, 12, "DEADLINE_EXCEEDED") for _ in range(other)),
    ]


# Ten pictures a second, in two turns of 25 seconds.
CAPACITY = [[overload.Answer(index / 10, index / 10 + 1.7, "") for index in range(250)]] * 2


def failed_claims(load: list[overload.Answer]) -> list[str]:
    result = overload.Overload(CAPACITY, [load])
    return failed(Findings((*result.checks(), result.check_latency())))


def test_an_overload_that_is_borne_holds() -> None:
    assert failed_claims(loaded(400)) == []


@pytest.mark.parametrize("late", [0.0, 0.3, 0.7])
def test_it_is_no_matter_of_chance_whether_a_last_batch_ends_in_time(late: float) -> None:
    batches = [overload.Answer(0, 1, ""), *(overload.Answer(at + late, at + late + 2, "") for at in range(40))] * 8
    assert overload.pictures_a_second(batches, 30.5) == pytest.approx(8)


@pytest.mark.parametrize(
    ("load", "sentence"),
    [
        (loaded(332), "Throughput"),
        (loaded(400, other=5), "Every picture that is accepted"),
        (loaded(400, refusal_seconds=3), "A refusal is told"),
        (loaded(400, seconds=3), "Accepted pictures take"),
    ],
)
def test_each_claim_of_an_overload_can_fail(load: list[overload.Answer], sentence: str) -> None:
    (found,) = failed_claims(load)
    assert found.startswith(sentence)
