"""A picture waits for what went away with growing pauses, within its patience, its deadline and the budget."""

import asyncio
from collections.abc import Callable

import pytest

from bridge.deadline import Deadline
from bridge.errors import ModelLost, ModelOutOfService, ModelUnavailable
from bridge.observability.metrics import Metrics
from bridge.recovery.retries import Retries, RetryPolicy
from bridge.recovery.retry_budget import RetryBudget

AWAY = ModelUnavailable("Away.")
LOST = ModelLost("Lost.")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made; none takes any time."""
    made: list[float] = []

    async def sleep(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return made


def series(budget: int = 10, patience: float = 30.0, seconds: float = 60.0) -> Retries:
    return RetryPolicy(patience, RetryBudget(budget, Metrics())).series(Deadline.within(seconds))


async def test_pauses_double_up_to_a_bound_with_jitter(pauses: list[float]) -> None:
    retries = series()
    for _ in range(8):
        await retries.pause(AWAY, begun=False)
    for pause, longest in zip(pauses, (0.2, 0.4, 0.8, 1.6, 3.2, 4, 4, 4), strict=True):
        assert longest / 2 <= pause <= longest
    assert len(set(pauses)) == 8


async def test_what_will_not_come_back_is_not_waited_for(pauses: list[float]) -> None:
    with pytest.raises(ModelOutOfService):
        await series().pause(ModelOutOfService("Broken."), begun=False)
    assert not pauses


@pytest.mark.parametrize("retries", [lambda: series(patience=0), lambda: series(seconds=0.05)])
async def test_neither_patience_nor_deadline_is_passed(pauses: list[float], retries: Callable[[], Retries]) -> None:
    with pytest.raises(ModelUnavailable, match="Away"):
        await retries().pause(AWAY, begun=True)
    assert not pauses


async def test_the_budget_is_shared_and_paid_once_for_each_loss(pauses: list[float]) -> None:
    policy = RetryPolicy(30, RetryBudget(2, Metrics()))
    first, second = policy.series(Deadline.within(60)), policy.series(Deadline.within(60))
    for _ in range(4):
        await first.pause(AWAY, begun=True)
    await second.pause(AWAY, begun=False)
    await first.pause(LOST, begun=True)
    with pytest.raises(ModelUnavailable):
        await second.pause(AWAY, begun=True)
    for _ in range(10):
        policy.budget.refund()
    await second.pause(AWAY, begun=True)


async def test_a_picture_that_takes_its_model_along_is_given_up(pauses: list[float]) -> None:
    retries = series()
    for _ in range(3):
        await retries.pause(LOST, begun=True)
    with pytest.raises(ModelLost):
        await retries.pause(LOST, begun=True)
