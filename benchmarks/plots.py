"""Plots of a run, as PNG files."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks.policies import PolicyName
from benchmarks.results import Results
from benchmarks.simulation import AT_LIMIT, AT_WHOLE_REQUEST, SATURATED, WORKLOADS, figures
from benchmarks.statistics import over_trials
from benchmarks.step_curves import H200

matplotlib.use("Agg")


def write_plots(results: Results, folder: Path) -> list[Path]:
    """Writes all plots and returns their files."""
    made = {
        "throughput.png": _throughput(results),
        "mixed.png": _mixed(results),
        "simulation_h200.png": _simulation(results),
    }
    for name, figure in made.items():
        figure.savefig(folder / name, dpi=120, bbox_inches="tight")
    return [folder / name for name in made]


def _throughput(results: Results) -> Figure:
    run = results.main_family
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    limit = over_trials([trial.limit.pictures_per_second for trial in run.trials])
    axes.axhline(limit.value, color="black", linestyle="--", label="limit: bare sessions")
    for name in ("ensemble", "bridge", "starweave"):
        clients = list(getattr(run.trials[0], name))
        rates = [
            over_trials([getattr(trial, name)[count].pictures_per_second for trial in run.trials]) for count in clients
        ]
        spread = [[rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]]
        label = "STARWEAVE-style baseline" if name == "starweave" else f"this server, {name}"
        axes.errorbar(clients, [rate.value for rate in rates], yerr=spread, marker="o", capsize=3, label=label)
    axes.set_xscale("log", base=2)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="clients", ylabel="pictures/s", title=f"Uniform load, family {run.family}")
    axes.legend()
    return figure


def _mixed(results: Results) -> Figure:
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    shown = ("mean", "p50", "p95", "p99")
    for offset, name in enumerate((PolicyName.CONTINUOUS, PolicyName.WHOLE_REQUEST)):
        values = [
            over_trials([getattr(trial.served[name].latency, figure_name) for trial in results.mixed]).value
            for figure_name in shown
        ]
        axes.bar([place + 0.4 * offset for place in range(len(shown))], values, width=0.4, label=name)
    axes.set_xticks([place + 0.2 for place in range(len(shown))], shown)
    axes.set(ylabel="latency, s", title="Mixed load at 80 % of the limit, real UNet steps")
    axes.legend()
    return figure


def _simulation(results: Results) -> Figure:
    trials = [trial for trial in results.simulated if trial.curve == H200.name]
    figure = Figure(figsize=(11, 4))
    left, right = figure.subplots(1, 2)
    for offset, policy in enumerate(PolicyName):
        throughputs = [
            over_trials([served.pictures_per_second for served in figures(trials, workload, SATURATED, policy)]).value
            for workload in WORKLOADS
        ]
        left.bar([place + 0.2 * offset for place in range(len(WORKLOADS))], throughputs, width=0.2, label=policy)
        cases = [(workload, load) for workload in WORKLOADS for load in (AT_LIMIT, AT_WHOLE_REQUEST)]
        p99s = [over_trials([each.latency.p99 for each in figures(trials, *case, policy)]).value for case in cases]
        right.bar([place + 0.2 * offset for place in range(len(cases))], p99s, width=0.2)
    left.set_xticks([place + 0.3 for place in range(len(WORKLOADS))], list(WORKLOADS))
    left.set(ylabel="pictures/s", title="Simulated on the H200 curve: saturated throughput")
    labels = [f"{workload}\n{'of the limit' if load == AT_LIMIT else 'of whole-request'}" for workload, load in cases]
    right.set_xticks([place + 0.3 for place in range(len(cases))], labels, fontsize=7)
    right.set_yscale("log")
    right.set(ylabel="p99 latency, s", title="Simulated: p99 latency at 80 % ...")
    figure.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, fontsize=8)
    return figure
