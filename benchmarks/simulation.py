"""The real scheduler and its rivals under a virtual clock, with step costs given as data.

A simulation: no picture is made. It leaves out the text encoder, the VAE and all else that is no UNet step.
`python -m benchmarks.simulation` runs the H200 curve alone and prints it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import click

from benchmarks.dispatch import dispatch
from benchmarks.loads import ClosedLoop, Load, OpenLoop, PictureSettings, Sizes, Workload, draw, poisson_arrivals
from benchmarks.policies import PolicyName, make_policy
from benchmarks.served import Served
from benchmarks.simulated_machine import SimulatedMachine, VirtualClock
from benchmarks.step_curves import H200, StepCurve

CLIENTS = 64
LOAD = 0.8
WORKLOADS = (Workload.REALISTIC, Workload.MIXED)


@dataclass(frozen=True, slots=True)
class SimulatedTrial:
    """One policy under one load; trials of the same number served the very same pictures.

    `load` is a sentence; `arrivals_per_second` is None for a closed loop.
    """

    curve: str
    workload: Workload
    load: str
    arrivals_per_second: float | None
    policy: PolicyName
    trial: int
    served: Served


SATURATED = f"{CLIENTS} clients, closed loop"
AT_LIMIT = f"Poisson at {LOAD:.0%} of the limit"
AT_WHOLE_REQUEST = f"Poisson at {LOAD:.0%} of what whole-request batching sustains"


def simulate(curve: StepCurve, workloads: Sequence[Workload], pictures: int, trials: int) -> list[SimulatedTrial]:
    """Every policy under saturation and under two Poisson loads, for each workload.

    The limit is the curve's best rows per second over the mean rows of a picture; what whole-request batching sustains
    is its throughput at saturation.
    """
    results: list[SimulatedTrial] = []
    for workload, trial in itertools.product(workloads, range(trials)):
        drawn = draw(workload, pictures, Sizes(curve.native_size, 2 * curve.native_size), trial)
        saturated = _compare(curve, workload, trial, drawn, SATURATED, None)
        results += saturated
        sustained = figures(saturated, workload, SATURATED, PolicyName.WHOLE_REQUEST)[0].pictures_per_second
        results += _compare(curve, workload, trial, drawn, AT_LIMIT, LOAD * limit(curve, drawn))
        results += _compare(curve, workload, trial, drawn, AT_WHOLE_REQUEST, LOAD * sustained)
    return results


def figures(trials: Sequence[SimulatedTrial], workload: Workload, load: str, policy: PolicyName) -> list[Served]:
    """The figures of one case, trial by trial."""
    return [each.served for each in trials if (each.workload, each.load, each.policy) == (workload, load, policy)]


def _compare(
    curve: StepCurve, workload: Workload, trial: int, drawn: list[PictureSettings], load: str, rate: float | None
) -> list[SimulatedTrial]:
    def source() -> Load:
        return (
            ClosedLoop(drawn, CLIENTS) if rate is None else OpenLoop(drawn, poisson_arrivals(rate, len(drawn), trial))
        )

    return [
        SimulatedTrial(curve.name, workload, load, rate, name, trial, serve(curve, name, source()))
        for name in PolicyName
    ]


def serve(curve: StepCurve, name: PolicyName, load: Load) -> Served:
    """One policy serving one load on a fresh virtual clock."""
    clock = VirtualClock()
    return Served.of(dispatch(make_policy(name, curve.cost()), load, SimulatedMachine(curve, clock), clock))


def limit(curve: StepCurve, pictures: Sequence[PictureSettings]) -> float:
    """Pictures per second if every step had the curve's best rate of rows."""
    rows = sum(each.steps * each.rows * (each.size / curve.native_size) ** 2 for each in pictures)
    return curve.rows_per_second() * len(pictures) / rows


@click.command()
@click.option("--pictures", default=600, show_default=True)
def main(pictures: int) -> None:
    """Simulate the H200 curve once and print the figures."""
    for trial in simulate(H200, WORKLOADS, pictures, 1):
        served = trial.served
        click.echo(
            f"{trial.workload}, {trial.load}, {trial.policy}: {served.pictures_per_second:.3f} pictures/s, "
            f"latency mean {served.latency.mean:.1f} s, p99 {served.latency.p99:.1f} s, "
            f"slowdown p99 {served.slowdown.p99:.1f}, {served.rows_per_step:.1f} rows per step"
        )


if __name__ == "__main__":
    main()
