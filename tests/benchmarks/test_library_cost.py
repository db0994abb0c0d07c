"""How it is judged what a library costs."""

from __future__ import annotations

from benchmarks.verify.parts.library_cost import Turn, findings


def with_rates(*rates: float) -> list[Turn]:
    return [Turn(rate, 10.0) for rate in rates]


def test_a_cheap_library_holds() -> None:
    (check,) = findings(with_rates(7.9, 6.9), with_rates(8.0, 7.0)).checks
    assert check.held


def test_a_dear_library_fails() -> None:
    (check,) = findings(with_rates(7.8, 6.8), with_rates(8.0, 7.0)).checks
    assert not check.held
