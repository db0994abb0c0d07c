"""README's benchmark table, out of the last run's JSON."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.statistics import Estimate
from benchmarks.targets import targets

LATEST = Path(__file__).resolve().parent / "results" / "latest.json"

_MEANINGS = {
    "ensemble_over_limit": "throughput straight to the ensemble, saturated, over that of bare ONNX Runtime sessions",
    "bridge_over_limit": "the same through the bridge",
    "latency_over_bare_loop": "one client's latency over a bare loop's",
    "step_overhead_ms": "milliseconds of a step outside the UNet",
    "throughput_over_starweave": "throughput over a diffusers pipeline behind a threaded gRPC server, 16 clients",
    "ort_over_torch": "a UNet step in torch over one in ONNX Runtime, both as in that server",
    "mixed_mean_gain": "mixed load: mean latency of whole-request batching over ours",
    "mixed_slowdown_p99_gain": "mixed load: p99 slowdown of whole-request batching over ours",
    "mixed_p99_over_fifo": "mixed load: our p99 latency over whole-request batching's",
    "sim_h200_throughput_over_whole_request": "simulated, H200: throughput over whole-request batching",
    "sim_h200_p99_cut_over_whole_request": "simulated, H200: part of the p99 latency that is saved",
    "sim_h200_throughput_over_keyed": "simulated, H200: throughput over keyed step batching",
    "rss_growth": "resident memory after the last trial over that after the first",
}


def benchmark_table() -> str:
    """The ratios with their 95 % intervals and aims; the command and the processor of the run above them."""
    content = json.loads(LATEST.read_text())
    ratios = {name: Estimate(**content["ratios"][name]) for name in _MEANINGS}
    trials = content["families"][-1]["trials"]
    aims = targets(sum(trial["steps"]["step_ms"] for trial in trials) / len(trials))
    rows = [
        f"| {meaning} | {ratios[name]} | {aims[name].words if name in aims else ''} "
        f"| {('yes' if aims[name].reached(ratios) else '**no**') if name in aims else ''} |"
        for name, meaning in _MEANINGS.items()
    ]
    machine = content["machine"]
    return "\n".join(
        [
            f"`{content['command']}` on {machine['cores']} cores ({machine['processor']}), no GPU:",
            "",
            "| ratio | measured | aim | reached |",
            "|---|---|---|---|",
            *rows,
        ]
    ) + "\n"  # fmt: skip
