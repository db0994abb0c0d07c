"""The mixed load with real UNet steps: this server's engine and whole-request batching."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.dispatch import dispatch
from benchmarks.family import Family
from benchmarks.in_process import RealClock, RealMachine
from benchmarks.loads import OpenLoop, Workload, draw, poisson_arrivals
from benchmarks.plan import Plan
from benchmarks.policies import PolicyName, make_policy
from benchmarks.served import Served
from benchmarks.simulation import LOAD, limit


@dataclass(frozen=True, slots=True)
class MixedTrial:
    """Both policies serving the very same pictures at the same arrival times."""

    arrivals_per_second: float
    served: dict[PolicyName, Served]


def measure_mixed(family: Family, machine: RealMachine, plan: Plan) -> list[MixedTrial]:
    """Trials at 80 % of the limit; UNet steps only."""
    trials = []
    for trial in range(plan.mixed_trials):
        pictures = draw(Workload.MIXED, plan.mixed_pictures, family.sizes, trial)
        rate = LOAD * limit(machine.curve(), pictures)
        times = poisson_arrivals(rate, len(pictures), trial)
        policy = make_policy(PolicyName.WHOLE_REQUEST, machine.curve().cost())
        served = {
            PolicyName.CONTINUOUS: machine.serve_by_engine(OpenLoop(pictures, times)),
            PolicyName.WHOLE_REQUEST: dispatch(policy, OpenLoop(pictures, times), machine, RealClock()),
        }
        trials.append(MixedTrial(rate, {name: Served.of(ended) for name, ended in served.items()}))
    return trials
