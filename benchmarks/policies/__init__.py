"""Which pictures take UNet steps together: this project's scheduler and what others do, behind one interface."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from diffusion_engine.step_cost import StepCost

from benchmarks.policies.continuous import ContinuousBatching
from benchmarks.policies.keyed_steps import KeyedStepBatching
from benchmarks.policies.policy import Policy
from benchmarks.policies.whole_request import WholeRequestBatching

# Long enough for a burst to gather, short beside a picture's time.
WHOLE_REQUEST_DELAY_SECONDS = 0.05


class PolicyName(StrEnum):
    """The policies compared, as reports name them."""

    CONTINUOUS = "continuous batching (this server)"
    WHOLE_REQUEST = "whole-request batching"
    KEYED = "keyed step batching"
    KEYED_QUEUES = "keyed step batching, a queue for each key"


def make_policy(name: PolicyName, cost: StepCost) -> Policy:
    """A fresh policy of that name."""
    makers: dict[PolicyName, Callable[[], Policy]] = {
        PolicyName.CONTINUOUS: lambda: ContinuousBatching(cost),
        PolicyName.WHOLE_REQUEST: lambda: WholeRequestBatching(cost, WHOLE_REQUEST_DELAY_SECONDS),
        PolicyName.KEYED: lambda: KeyedStepBatching(cost, blocking=True),
        PolicyName.KEYED_QUEUES: lambda: KeyedStepBatching(cost, blocking=False),
    }
    return makers[name]()
