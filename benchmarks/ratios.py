"""The ratios that a run comes down to, computed from its measurements alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.family_run import FamilyFigures, Trial
from benchmarks.loads import Workload
from benchmarks.mixed_run import MixedTrial
from benchmarks.policies import PolicyName
from benchmarks.served import Served
from benchmarks.simulation import AT_LIMIT, SATURATED, SimulatedTrial, figures
from benchmarks.statistics import Estimate, over_trials, ratio_of_trials


@dataclass(frozen=True, slots=True)
class FamilyRatios:
    """Ratios of one family under the uniform load.

    `ensemble_over_limit` and `bridge_over_limit` are throughputs of the saturated server over the bare sessions' best;
    `latency_over_bare_loop` one client's median through the bridge over the bare loop's; `throughput_over_starweave`
    is at as many clients; `ort_over_torch` a step's time in torch over its time in ONNX Runtime, both with the
    baseline's workers and threads; `rss_growth` the greatest growth of a server process from the first trial's end.
    """

    ensemble_over_limit: Estimate
    bridge_over_limit: Estimate
    latency_over_bare_loop: Estimate
    step_overhead_ms: Estimate
    throughput_over_starweave: Estimate
    ort_over_torch: Estimate
    rss_growth: Estimate


@dataclass(frozen=True, slots=True)
class MixedRatios:
    """This server's scheduler against whole-request batching, under the mixed load; gains above 1 are ours."""

    mixed_mean_gain: Estimate
    mixed_slowdown_p99_gain: Estimate
    mixed_p99_over_fifo: Estimate


@dataclass(frozen=True, slots=True)
class SimulatedRatios:
    """Simulated on the H200 curve; of the realistic and the mixed load the worse one."""

    sim_h200_throughput_over_whole_request: Estimate
    sim_h200_p99_cut_over_whole_request: Estimate
    sim_h200_throughput_over_keyed: Estimate


def family_ratios(run: FamilyFigures) -> FamilyRatios:
    """The ratios of one family's measurements."""

    def ratio(over: Callable[[Trial], float], under: Callable[[Trial], float]) -> Estimate:
        return ratio_of_trials([over(trial) for trial in run.trials], [under(trial) for trial in run.trials])

    growth = [
        run.usage_after[name].resident / usage.resident
        for name, usage in run.usage_before.items()
        if name in run.usage_after
    ]
    return FamilyRatios(
        ensemble_over_limit=ratio(
            lambda trial: trial.ensemble[run.saturated].pictures_per_second,
            lambda trial: trial.limit.pictures_per_second,
        ),
        bridge_over_limit=ratio(
            lambda trial: trial.bridge[run.saturated].pictures_per_second,
            lambda trial: trial.limit.pictures_per_second,
        ),
        latency_over_bare_loop=ratio(lambda trial: trial.bridge[1].latency.p50, lambda trial: trial.bare_picture.p50),
        step_overhead_ms=over_trials([trial.steps.overhead_ms for trial in run.trials]),
        throughput_over_starweave=ratio(
            lambda trial: trial.bridge[run.saturated].pictures_per_second,
            lambda trial: trial.starweave[run.saturated].pictures_per_second,
        ),
        ort_over_torch=over_trials([run.step.torch / run.step.onnxruntime]),
        rss_growth=over_trials([max(growth, default=1.0)]),
    )


def mixed_ratios(trials: Sequence[MixedTrial]) -> MixedRatios:
    """The ratios of pairs that were served by real steps."""
    ours = [trial.served[PolicyName.CONTINUOUS] for trial in trials]
    theirs = [trial.served[PolicyName.WHOLE_REQUEST] for trial in trials]
    return _mixed(ours, theirs)


def simulated_mixed_ratios(trials: Sequence[SimulatedTrial], load: str) -> MixedRatios:
    """The same ratios where they are simulated."""
    ours = figures(trials, Workload.MIXED, load, PolicyName.CONTINUOUS)
    theirs = figures(trials, Workload.MIXED, load, PolicyName.WHOLE_REQUEST)
    return _mixed(ours, theirs)


def _mixed(ours: Sequence[Served], theirs: Sequence[Served]) -> MixedRatios:
    return MixedRatios(
        mixed_mean_gain=ratio_of_trials([each.latency.mean for each in theirs], [each.latency.mean for each in ours]),
        mixed_slowdown_p99_gain=ratio_of_trials(
            [each.slowdown.p99 for each in theirs], [each.slowdown.p99 for each in ours]
        ),
        mixed_p99_over_fifo=ratio_of_trials([each.latency.p99 for each in ours], [each.latency.p99 for each in theirs]),
    )


def simulated_ratios(trials: Sequence[SimulatedTrial], workload: Workload, load: str = AT_LIMIT) -> SimulatedRatios:
    """The ratios of one workload: throughputs at saturation, p99 latencies under `load`."""

    def throughputs(policy: PolicyName) -> list[float]:
        return [served.pictures_per_second for served in figures(trials, workload, SATURATED, policy)]

    def p99s(policy: PolicyName) -> list[float]:
        return [served.latency.p99 for served in figures(trials, workload, load, policy)]

    kept = ratio_of_trials(p99s(PolicyName.CONTINUOUS), p99s(PolicyName.WHOLE_REQUEST))
    return SimulatedRatios(
        sim_h200_throughput_over_whole_request=ratio_of_trials(
            throughputs(PolicyName.CONTINUOUS), throughputs(PolicyName.WHOLE_REQUEST)
        ),
        sim_h200_p99_cut_over_whole_request=Estimate(1 - kept.value, 1 - kept.high, 1 - kept.low, kept.trials),
        sim_h200_throughput_over_keyed=ratio_of_trials(
            throughputs(PolicyName.CONTINUOUS), throughputs(PolicyName.KEYED)
        ),
    )


def worse(first: SimulatedRatios, second: SimulatedRatios) -> SimulatedRatios:
    """Of each ratio the smaller one."""

    def smaller(name: str) -> Estimate:
        pair: tuple[Estimate, Estimate] = getattr(first, name), getattr(second, name)
        return min(pair, key=lambda estimate: estimate.value)

    return SimulatedRatios(*(smaller(name) for name in SimulatedRatios.__slots__))
