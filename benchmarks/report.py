"""A run as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields

from benchmarks.bounds import bounds, most_over_whole_request
from benchmarks.family_run import FamilyFigures, Trial
from benchmarks.loads import Workload
from benchmarks.policies import PolicyName
from benchmarks.ratios import family_ratios, simulated_mixed_ratios, simulated_ratios
from benchmarks.results import Results
from benchmarks.served import Served
from benchmarks.simulation import AT_LIMIT, AT_WHOLE_REQUEST, CLIENTS, SATURATED, WORKLOADS, figures
from benchmarks.statistics import Estimate, over_trials
from benchmarks.step_curves import H200
from benchmarks.targets import targets

Row = Sequence[object]

_SHOWN = ("mean", "p50", "p95", "p99")


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [
        _introduction(results),
        _ratios(results),
        *(_family(family) for family in reversed(results.families)),
        _mixed(results),
        _simulation(results),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(results: Results) -> str:
    machine = results.machine
    packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
    return (
        "# Benchmark\n\n"
        f"Every number here is from one run of `{results.command}`, begun {results.began:%Y-%m-%d %H:%M} UTC, "
        f"{results.seconds / 60:.0f} minutes long, on {machine.cores} cores ({machine.processor}), "
        f"Python {machine.python}, {packages}. The machine's load was {machine.load_before:.1f} when it began. "
        f"Each trial measures limit, server and baseline in turns; brackets are 95 % bootstrap intervals over trials. "
        "Nothing here was measured on a GPU."
    )


def _ratios(results: Results) -> str:
    ratios = results.ratios()
    aims = targets(_mean(trial.steps.step_ms for trial in results.main_family.trials))
    rows = [
        (f"`{name}`", estimate, aims[name].words, "yes" if aims[name].reached(ratios) else "no")
        if name in aims
        else (f"`{name}`", estimate, "", "")
        for name, estimate in ratios.items()
    ]
    text = (
        "## Ratios\n\n"
        f"Of the family `{results.main_family.family}` where they are measured; those that begin with `sim_` are "
        "simulated, and of the realistic and the mixed load the worse one.\n\n"
        + _table("ratio value aim reached", rows)
    )
    if missed := bounds(results):
        text += "\n\nWhat bounds those not reached:\n\n" + "\n".join(f"- {sentence}" for sentence in missed)
    others = [run for run in results.families if run is not results.main_family]
    for run in others:
        own = family_ratios(run)
        beside = [(f"`{field.name}`", getattr(own, field.name)) for field in fields(own)]
        text += f"\n\nBeside them those of `{run.family}`:\n\n" + _table("ratio value", beside)
    return text


def _family(run: FamilyFigures) -> str:
    limit_rows = [(each.arrangement, f"{each.pictures_per_second:.2f}") for each in run.limits]
    baseline_rows = [(workers, f"{rate:.2f}") for workers, rate in run.starweave_choices.items()]
    curve = ", ".join(f"{rows}: {1e3 * seconds:.1f}" for rows, seconds in run.curve.seconds.items())
    usage = [
        (name, f"{used.peak_resident / 2**20:.0f}", f"{cpu:.3f}" if cpu is not None else "")
        for name, used in run.usage_after.items()
        for cpu in [_mean_of(trial.cpu_seconds_per_picture.get(name) for trial in run.trials)]
    ]
    command = next(iter(run.commands), "")
    return "\n\n".join(
        [
            f"## Family `{run.family}`, uniform load",
            f"Milliseconds of a UNet step by its rows: {curve}. A step of two rows takes {1e3 * run.step.torch:.1f} ms "
            f"in torch and {1e3 * run.step.onnxruntime:.1f} ms in ONNX Runtime, each by {run.starweave_best}.",
            "The limit: the same graphs in bare sessions, text encoder and VAE decoder included, in pictures/s. "
            "The trials use the best.",
            _table("arrangement pictures/s", limit_rows),
            f"The STARWEAVE-style baseline; the trials use its best, {run.starweave_best}.",
            _table("workers pictures/s", baseline_rows),
            _throughputs(run),
            *_decode(run),
            f"The ensemble's figures are perf_analyzer's (`{command}` and the like), latencies in seconds.",
            _table("process peak-MiB CPU-s/picture", usage),
            f"CPU seconds are those of the load through the bridge with {run.saturated} clients. The UNet's steps "
            f"there: {_over(run, lambda trial: trial.steps.rows)} rows, "
            f"{_over(run, lambda trial: trial.steps.step_ms)} ms, "
            f"of which {_over(run, lambda trial: trial.steps.overhead_ms)} ms outside the UNet.",
            f"### Poisson loads through the bridge, `{run.family}`",
            _poisson(run),
        ]
    )


def _throughputs(run: FamilyFigures) -> str:
    trials = run.trials
    bare = [[getattr(trial.bare_picture, name) for trial in trials] for name in _SHOWN]
    rows: list[Row] = [
        ("limit", "", over_trials([trial.limit.pictures_per_second for trial in trials]), "", "", "", ""),
        ("bare loop", 1, "", *map(over_trials, bare)),
    ]
    for clients in trials[0].ensemble:
        measured = [trial.ensemble[clients] for trial in trials]
        rate = over_trials([each.pictures_per_second for each in measured])
        shown = [[getattr(each, f"{name}_ms") / 1e3 for each in measured] for name in _SHOWN[1:]]
        rows.append(("ensemble", clients, rate, "", *map(over_trials, shown)))
    rows += [_closed("bridge", clients, [trial.bridge[clients] for trial in trials]) for clients in trials[0].bridge]
    baseline = trials[0].starweave
    rows += [_closed("baseline", clients, [trial.starweave[clients] for trial in trials]) for clients in baseline]
    return _table("path clients pictures/s mean p50 p95 p99", rows)


def _decode(run: FamilyFigures) -> list[str]:
    if not run.decode:
        return []
    rows = [
        (
            f"{each.side}x{each.side}",
            each.threads,
            each.batch,
            f"{each.decode:.1f}",
            f"{each.lost:.1f}",
            f"{each.stall:.1f}",
        )
        for each in run.decode
    ]
    return [
        "The VAE decoder in a process of its own beside denoising steps of eight rows, both always at work: "
        "milliseconds from one decoded picture to the next, milliseconds of denoising lost for each, and the 99th "
        "percentile of a step over the median of one alone.",
        _table("picture threads batch ms/picture lost-ms/picture p99-step", rows),
    ]


def _closed(path: str, clients: int, served: Sequence[Served]) -> Row:
    rate = over_trials([each.pictures_per_second for each in served])
    return path, clients, rate, *(over_trials([getattr(each.latency, name) for each in served]) for name in _SHOWN)


def _poisson(run: FamilyFigures) -> str:
    rows = [
        (
            each.workload,
            f"{each.load:.0%}",
            f"{each.arrivals_per_second:.2f}",
            *(f"{getattr(each.served.latency, name):.2f}" for name in _SHOWN),
            f"{each.served.slowdown.mean:.1f}",
            f"{each.served.slowdown.p99:.1f}",
            f"{each.served.rows_per_step:.1f}",
            f"{each.served.steps_waited.mean:.1f}",
        )
        for each in run.poisson
    ]
    header = "load of-limit arrivals/s mean p50 p95 p99 slowdown slowdown-p99 rows/step steps-waited"
    return _table(header, rows)


def _mixed(results: Results) -> str:
    rows = [
        (
            number,
            name,
            f"{trial.arrivals_per_second:.2f}",
            f"{served.pictures_per_second:.2f}",
            *(f"{getattr(served.latency, shown):.2f}" for shown in _SHOWN),
            f"{served.slowdown.mean:.1f}",
            f"{served.slowdown.p99:.1f}",
            f"{served.rows_per_step:.1f}",
        )
        for number, trial in enumerate(results.mixed, start=1)
        for name, served in trial.served.items()
    ]
    return (
        f"## Mixed load, real UNet steps of `{results.main_family.family}`, 80 % of the limit\n\n"
        "The engine, and whole-request batching over the same session, in one process, with the same pictures at the "
        "same times; text encoder and VAE left out. Whole-request batching is first in, first out, each batch on all "
        "cores, as one instance of a model takes it. Where it cannot sustain this load its latencies grow with the "
        "length of the run; the simulation below also shows a load that it sustains.\n\n"
        + _table("trial policy arrivals/s pictures/s mean p50 p95 p99 slowdown slowdown-p99 rows/step", rows)
    )


def _simulation(results: Results) -> str:
    parts = [
        "## Simulation",
        "Simulated, not measured: the engine's real scheduler and the baselines as policies under a virtual clock, "
        "UNet steps only, their cost given as a curve. A large picture has four times the pixels. Whole-request "
        "batching takes every equal request in its queue; keyed step batching is first in, first out, and also shown "
        "with a queue for each key, which is more than the servers it stands for do.",
    ]
    for curve in (results.main_family.curve, H200):
        parts.append(f"### Simulated on the curve of {curve.name}")
        parts.append(f"Source: {curve.source}.")
        trials = [trial for trial in results.simulated if trial.curve == curve.name]
        for workload in WORKLOADS:
            rows: list[Row] = []
            for load in (SATURATED, AT_LIMIT, AT_WHOLE_REQUEST):
                for policy in PolicyName:
                    served = figures(trials, workload, load, policy)
                    rows.append(
                        (
                            load,
                            policy,
                            over_trials([each.pictures_per_second for each in served]),
                            over_trials([each.latency.mean for each in served]),
                            over_trials([each.latency.p99 for each in served]),
                            over_trials([each.slowdown.p99 for each in served]),
                            f"{_mean(each.rows_per_step for each in served):.1f}",
                        )
                    )
            parts.append(f"{workload.capitalize()} load, simulated:")
            parts.append(_table("load policy pictures/s mean p99 slowdown-p99 rows/step", rows))
        if curve is H200:
            parts += [_h200_ratios(results, workload) for workload in WORKLOADS]
        else:
            own = simulated_mixed_ratios(trials, AT_WHOLE_REQUEST)
            parts.append(
                f"Simulated, mixed load, {AT_WHOLE_REQUEST}: mean latency {own.mixed_mean_gain} times better than "
                f"whole-request batching, p99 slowdown {own.mixed_slowdown_p99_gain} times, p99 latency "
                f"{own.mixed_p99_over_fifo} of its."
            )
    return "\n\n".join(parts)


def _h200_ratios(results: Results, workload: Workload) -> str:
    trials = [trial for trial in results.simulated if trial.curve == H200.name]
    at_limit = simulated_ratios(trials, workload)
    sustained = simulated_ratios(trials, workload, AT_WHOLE_REQUEST)
    most = most_over_whole_request(results, workload)
    return (
        f"Simulated on the H200 curve, {workload} load: {at_limit.sim_h200_throughput_over_whole_request} times the "
        f"throughput of whole-request batching with {CLIENTS} clients, where a scheduler that filled every step would "
        f"have {most:.2f} times: what bounds it is how well the load batches whole on this curve. p99 latency is "
        f"{_percent(at_limit.sim_h200_p99_cut_over_whole_request)} lower at 80 % of the limit, which whole-request "
        f"batching cannot sustain, and {_percent(sustained.sim_h200_p99_cut_over_whole_request)} lower at 80 % of what "
        f"it can. Throughput is {at_limit.sim_h200_throughput_over_keyed} times that of keyed step batching."
    )


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"


def _over(run: FamilyFigures, value: Callable[[Trial], float]) -> Estimate:
    return over_trials([value(trial) for trial in run.trials])


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _mean_of(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _table(header: str, rows: Sequence[Row]) -> str:
    names = [name.replace("-", " ") for name in header.split()]
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
