"""What the ratios are meant to reach."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.statistics import Estimate


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio's aim in words, and whether a set of ratios reaches it."""

    words: str
    reached: Callable[[Mapping[str, Estimate]], bool]


def _least(name: str, value: float) -> Target:
    return Target(f"at least {value:g}", lambda ratios: ratios[name].value >= value)


def _most(name: str, value: float) -> Target:
    return Target(f"at most {value:g}", lambda ratios: ratios[name].value <= value)


def targets(step_ms: float) -> dict[str, Target]:
    """By the ratio's name; `step_ms` is what a whole step takes."""
    return {
        "ensemble_over_limit": _least("ensemble_over_limit", 0.95),
        "bridge_over_limit": _least("bridge_over_limit", 0.93),
        "latency_over_bare_loop": _most("latency_over_bare_loop", 1.10),
        "step_overhead_ms": Target(
            f"at most {0.15 + 0.01 * step_ms:.2f} (0.15 ms and 1 % of the step)",
            lambda ratios: ratios["step_overhead_ms"].value <= 0.15 + 0.01 * step_ms,
        ),
        "throughput_over_starweave": Target(
            "at least 1.3 times ort_over_torch",
            lambda ratios: ratios["throughput_over_starweave"].value >= 1.3 * ratios["ort_over_torch"].value,
        ),
        "mixed_mean_gain": _least("mixed_mean_gain", 1.5),
        "mixed_slowdown_p99_gain": _least("mixed_slowdown_p99_gain", 2),
        "mixed_p99_over_fifo": _most("mixed_p99_over_fifo", 1.35),
        "sim_h200_throughput_over_whole_request": _least("sim_h200_throughput_over_whole_request", 1.6),
        "sim_h200_p99_cut_over_whole_request": _least("sim_h200_p99_cut_over_whole_request", 0.6),
        "sim_h200_throughput_over_keyed": _least("sim_h200_throughput_over_keyed", 1.15),
        "rss_growth": _most("rss_growth", 1.05),
    }
