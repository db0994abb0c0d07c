"""When a picture is begun again that could not be made because Triton or its model was away."""

import asyncio
import random
from dataclasses import dataclass, field

from bridge.deadline import Deadline
from bridge.errors import ModelLost, ModelOutOfService, ModelUnavailable
from bridge.recovery.retry_budget import RetryBudget

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 4.0
# A picture that takes its model process along would do so for ever; those beside it survive this often.
_MOST_LOSSES = 3


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits up to `patience` seconds at a time for a model to come back, with back-off and jitter.

    It is safe to begin a picture again: its seed is fixed, so that it is the same picture, and nothing of the attempt
    before has reached the client.
    """

    patience: float
    budget: RetryBudget

    def series(self, deadline: Deadline) -> "Retries":
        """The retries of one picture."""
        return Retries(self, deadline)


@dataclass(slots=True)
class Retries:
    """Counts what one picture has gone through."""

    policy: RetryPolicy
    deadline: Deadline
    count: int = 0
    losses: int = 0
    _failures_in_a_row: int = 0
    _given_up_at: float = field(default=0.0)

    async def pause(self, error: ModelUnavailable, *, begun: bool) -> None:
        """Waits before the next attempt; raises `error` where there is to be none.

        `begun`: the attempt had reached Triton, so that the next one is paid from the budget.
        """
        if isinstance(error, ModelOutOfService):
            raise error
        if isinstance(error, ModelLost):
            self.losses += 1
            self._failures_in_a_row = 0
        if self._failures_in_a_row == 0:
            self._given_up_at = self.deadline.elapsed + self.policy.patience
        seconds = _pause(self._failures_in_a_row)
        self._failures_in_a_row += 1
        if self.losses > _MOST_LOSSES or self.deadline.elapsed + seconds >= min(
            self._given_up_at, self.deadline.seconds
        ):
            raise error
        if begun and (self.count == 0 or isinstance(error, ModelLost)) and not self.policy.budget.take():
            raise error
        self.count += begun
        await asyncio.sleep(seconds)


def _pause(failures: int) -> float:
    """Doubles with each failure; the jitter keeps those that failed together from coming back together."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**failures)
    return random.uniform(longest / 2, longest)
