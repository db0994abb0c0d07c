"""The whole benchmark with tiny counts against the real server."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.family import Family, Server
from benchmarks.plan import Plan
from benchmarks.run import JSON_NAME, REPORT_NAME, measure, write
from benchmarks.targets import targets
from standalone.stack import StackSettings
from tests.checkpoint import CHECKPOINT
from tests.triton.family_client import FamilyClient

TINY = Plan(
    trials=1,
    step_runs=2,
    limit_seconds=0.1,
    batches=(2,),
    decode_seconds=0.1,
    clients=(1, 2),
    saturated=2,
    pictures_per_client=1,
    fewest_pictures=1,
    most_pictures=2,
    baseline_choices=1,
    poisson_loads=(0.8,),
    poisson_pictures=2,
    mixed_pictures=3,
    mixed_trials=1,
    simulated_pictures=20,
    simulated_trials=1,
)
RATIOS = {
    "ensemble_over_limit",
    "bridge_over_limit",
    "latency_over_bare_loop",
    "step_overhead_ms",
    "throughput_over_starweave",
    "ort_over_torch",
    "mixed_mean_gain",
    "mixed_slowdown_p99_gain",
    "mixed_p99_over_fifo",
    "sim_h200_throughput_over_whole_request",
    "sim_h200_p99_cut_over_whole_request",
    "sim_h200_throughput_over_keyed",
    "rss_growth",
}


def test_a_tiny_benchmark_measures_every_ratio(
    demo: FamilyClient, triton_url: str, bridge_address: str, tmp_path: Path
) -> None:
    repository = StackSettings().repository
    family = Family.read(repository, "demo", CHECKPOINT)
    results = measure([family], Server(repository, triton_url, bridge_address), TINY, "pytest", lambda sentence: None)
    write(results, tmp_path)

    ratios = json.loads((tmp_path / JSON_NAME).read_text())["ratios"]
    assert set(ratios) == RATIOS
    assert all(ratios[name]["value"] > 0 for name in RATIOS - {"sim_h200_p99_cut_over_whole_request"})
    assert set(targets(step_ms=1.0)) == RATIOS - {"ort_over_torch"}
    assert results.main_family.trials[0].steps.rows >= 2
    processes = results.main_family.usage_after
    assert "triton" in processes and any("demo_unet" in name for name in processes)

    report = (tmp_path / REPORT_NAME).read_text()
    assert all(f"`{name}`" in report for name in RATIOS)
    assert (tmp_path / "throughput.png").stat().st_size > 10_000
