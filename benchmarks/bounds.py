"""What bounds the ratios that a run did not bring to their aims, from the run's own figures."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.family_run import FamilyFigures
from benchmarks.loads import Sizes, Workload, draw
from benchmarks.policies import PolicyName
from benchmarks.results import Results
from benchmarks.simulation import SATURATED, WORKLOADS, figures, limit
from benchmarks.statistics import over_trials
from benchmarks.step_curves import H200
from benchmarks.targets import targets

# The processes that do what the bare sessions do too.
_GRAPHS = ("_unet_", "_vae_decoder_", "_text_encoder_")


def bounds(results: Results) -> list[str]:
    """A sentence for each ratio that is not reached and that the figures explain."""
    trials, ratios = results.main_family.trials, results.ratios()
    aims = targets(sum(trial.steps.step_ms for trial in trials) / len(trials))
    missed = {name for name, aim in aims.items() if not aim.reached(ratios)}
    return [f"`{name}`: {sentence(results)}" for name, sentence in _SENTENCES.items() if name in missed]


def most_over_whole_request(results: Results, workload: Workload) -> float:
    """A simulated throughput over whole-request batching's that no scheduler exceeds: that of full steps only."""
    simulated = [trial for trial in results.simulated if trial.curve == H200.name]
    drawn = draw(workload, results.plan.simulated_pictures, Sizes(H200.native_size, 2 * H200.native_size), 0)
    whole = figures(simulated, workload, SATURATED, PolicyName.WHOLE_REQUEST)
    return limit(H200, drawn) / over_trials([each.pictures_per_second for each in whole]).value


def _throughput(results: Results) -> str:
    run, cores = results.main_family, results.machine.cores
    spent = _cpu_seconds(run)
    graphs = sum(seconds for name, seconds in spent.items() if any(graph in name for graph in _GRAPHS))
    outside = sum(spent.values()) - graphs
    bare = cores / _mean([trial.limit.pictures_per_second for trial in run.trials])
    ours = cores / _mean([trial.bridge[run.saturated].pictures_per_second for trial in run.trials])
    return (
        f"a picture of the bare sessions, which never wait for one another, takes {bare:.3f} seconds of a core. "
        f"Through the bridge it takes {ours:.3f}: {graphs:.3f} are its graphs', {outside:.3f} those of bridge, Triton "
        "and tokenizer; in the rest a core is idle or the client's, as a run begins and ends with fewer pictures."
    )


def _latency(results: Results) -> str:
    trials = results.main_family.trials
    bare = _mean([trial.bare_picture.p50 for trial in trials])
    ours = _mean([trial.bridge[1].latency.p50 for trial in trials])
    return (
        f"a picture alone takes {1e3 * (ours - bare):.0f} ms more than the {1e3 * bare:.0f} ms of the bare loop, for "
        "gRPC, Triton's ensemble and a PNG."
    )


def _over_starweave(results: Results) -> str:
    run = results.main_family
    baseline = _mean([trial.starweave[run.saturated].pictures_per_second for trial in run.trials])
    bare = _mean([trial.limit.pictures_per_second for trial in run.trials])
    return (
        f"the limit itself is {bare / baseline:.2f} times the baseline's best, which keeps every core at work too; on "
        "this processor wider batches gain little."
    )


def _over_whole_request(results: Results) -> str:
    most = ", ".join(f"{most_over_whole_request(results, each):.2f} on the {each} load" for each in WORKLOADS)
    return f"a scheduler that filled every step would have {most}: the rest batches whole as well."


def _growth(results: Results) -> str:
    run = results.main_family
    name = max(
        (name for name in run.usage_before if name in run.usage_after),
        key=lambda each: run.usage_after[each].resident / run.usage_before[each].resident,
    )
    before, after = (usage[name].resident / 2**20 for usage in (run.usage_before, run.usage_after))
    return f"{name} went from {before:.0f} to {after:.0f} MiB; `make verify PARTS=memory` watches it for longer."


def _cpu_seconds(run: FamilyFigures) -> dict[str, float]:
    names = {name for trial in run.trials for name in trial.cpu_seconds_per_picture}
    return {name: _mean([trial.cpu_seconds_per_picture.get(name, 0.0) for trial in run.trials]) for name in names}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


_SENTENCES: dict[str, Callable[[Results], str]] = {
    "ensemble_over_limit": _throughput,
    "bridge_over_limit": _throughput,
    "latency_over_bare_loop": _latency,
    "throughput_over_starweave": _over_starweave,
    "sim_h200_throughput_over_whole_request": _over_whole_request,
    "rss_growth": _growth,
}
