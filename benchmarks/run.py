"""One benchmark run: measure, compute the ratios, write the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.family import Family, Server
from benchmarks.family_run import FamilyRun
from benchmarks.mixed_run import measure_mixed
from benchmarks.plan import Plan
from benchmarks.plots import write_plots
from benchmarks.report import markdown
from benchmarks.results import Machine, Results, now
from benchmarks.simulation import WORKLOADS, simulate
from benchmarks.step_curves import H200

JSON_NAME = "latest.json"
REPORT_NAME = "benchmark.md"


def measure(
    families: Sequence[Family], server: Server, plan: Plan, command: str, report: Callable[[str], None]
) -> Results:
    """Measures the families, the last being the main one, then simulates on its curve and on the H200's."""
    machine, began, before = Machine.here(), now(), time.monotonic()
    plans = [plan.beside() for _ in families[1:]] + [plan]
    runs = [FamilyRun(family, server, each, report) for family, each in zip(families, plans, strict=True)]
    figures = [run.measure() for run in runs]
    report("mixed load under two policies, real steps")
    mixed = measure_mixed(families[-1], runs[-1].machine, plan)
    report("simulation")
    simulated = [
        trial
        for curve in (figures[-1].curve, H200)
        for trial in simulate(curve, WORKLOADS, plan.simulated_pictures, plan.simulated_trials)
    ]
    return Results(command, began, time.monotonic() - before, machine, plan, figures, mixed, simulated)


def write(results: Results, folder: Path) -> None:
    """Writes JSON, Markdown and plots into a folder, made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / JSON_NAME)
    plots = write_plots(results, folder)
    pictures = "\n\n".join(f"![{plot.stem}]({plot.name})" for plot in plots)
    (folder / REPORT_NAME).write_text(f"{markdown(results)}\n{pictures}\n")
