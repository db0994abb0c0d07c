"""A family that keeps failing is left alone for a while, then tried by one picture."""

import pytest

from bridge.errors import DeadlineExceeded, GenerationFailed, InvalidRequest, ModelOutOfService
from bridge.observability.metrics import Metrics
from bridge.recovery.circuits import Circuits
from tests.clock import Clock

FAILURE = GenerationFailed("It failed.")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def circuits(clock: Clock, metrics: Metrics) -> Circuits:
    return Circuits(3, 10.0, metrics, clock)


def fail(circuits: Circuits, times: int) -> None:
    for _ in range(times):
        circuits.enter("fox")
        circuits.failed("fox", FAILURE)


def test_it_opens_after_failures_in_a_row(circuits: Circuits, metrics: Metrics) -> None:
    fail(circuits, 2)
    circuits.succeeded("fox")
    fail(circuits, 2)
    circuits.enter("fox")
    circuits.failed("fox", FAILURE)
    assert circuits.open == {"fox"}
    with pytest.raises(ModelOutOfService) as caught:
        circuits.enter("fox")
    assert str(caught.value) == (
        "The model fox has failed 3 times in a row and is left alone for now; "
        "try again in 10 seconds or choose another model."
    )
    assert metrics.registry.get_sample_value("starweave_bridge_circuit_open", {"family": "fox"}) == 1
    circuits.enter("wolf")


def test_one_picture_tries_it_and_closes_it(circuits: Circuits, clock: Clock, metrics: Metrics) -> None:
    fail(circuits, 3)
    clock.now += 10
    assert circuits.open == frozenset()
    circuits.enter("fox")
    with pytest.raises(ModelOutOfService):
        circuits.enter("fox")
    circuits.succeeded("fox")
    circuits.enter("fox")
    circuits.enter("fox")
    assert metrics.registry.get_sample_value("starweave_bridge_circuit_open", {"family": "fox"}) == 0


def test_a_try_that_fails_opens_it_again(circuits: Circuits, clock: Clock) -> None:
    fail(circuits, 3)
    clock.now += 10
    fail(circuits, 1)
    clock.now += 9
    with pytest.raises(ModelOutOfService, match="failed 4 times"):
        circuits.enter("fox")


def test_what_says_nothing_about_the_family_does_not_count(circuits: Circuits) -> None:
    for error in (InvalidRequest("No."), DeadlineExceeded("Late.")) * 3:
        circuits.failed("fox", error)
    circuits.enter("fox")
