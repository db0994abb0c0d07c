"""Equal requests under way are made once; each keeps its own time and may leave."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bridge.errors import DeadlineExceeded, GenerationFailed
from bridge.library.flights import Flights
from protos import starweave_pb2


class Maker:
    """Makes pictures when it is told to, and counts them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.given_up: list[str] = []
        self.ready = asyncio.Event()
        self.error: Exception | None = None

    async def make(self, name: str) -> Any:
        self.begun.append(name)
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self.given_up.append(name)
            raise
        if self.error is not None:
            raise self.error
        return starweave_pb2.ImageResponse(request_id=name)


def join(flights: Flights, maker: Maker, name: str, key: str = "key", seconds: float = 60) -> asyncio.Task[Any]:
    coroutine: Coroutine[Any, Any, Any] = flights.join(key, name, lambda: maker.make(name), seconds)
    return asyncio.create_task(coroutine)


async def begun(maker: Maker, count: int) -> None:
    while len(maker.begun) < count:
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_equal_requests_are_made_once_and_different_ones_are_not() -> None:
    flights, maker = Flights(), Maker()
    same = [join(flights, maker, name) for name in ("a", "b", "c")]
    other = join(flights, maker, "d", key="another")
    await begun(maker, 2)
    assert [flights.leader(name) for name in ("a", "b", "d", "nobody")] == ["a", "a", "d", "nobody"]
    maker.ready.set()
    for answer, leader in await asyncio.gather(*same):
        assert (answer.request_id, leader) == ("a", "a")
    assert (await other)[1] == "d"
    assert maker.begun == ["a", "d"]
    again = join(flights, maker, "e")
    assert (await again)[1] == "e", "one that has landed is not joined"


@pytest.mark.parametrize("leaver", ["a", "b"])
async def test_one_that_is_cancelled_leaves_the_others_alone(leaver: str) -> None:
    flights, maker = Flights(), Maker()
    tasks = {name: join(flights, maker, name) for name in ("a", "b", "c")}
    await begun(maker, 1)
    tasks.pop(leaver).cancel()
    await asyncio.sleep(0)
    maker.ready.set()
    assert [leader for _, leader in await asyncio.gather(*tasks.values())] == ["a", "a"]
    assert maker.given_up == []


async def test_with_the_last_one_the_picture_is_given_up() -> None:
    flights, maker = Flights(), Maker()
    tasks = [join(flights, maker, name) for name in ("a", "b")]
    await begun(maker, 1)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    late = join(flights, maker, "c")
    await begun(maker, 2)
    assert maker.begun == ["a", "c"] and maker.given_up == ["a"]
    maker.ready.set()
    assert (await late)[1] == "c"


async def test_a_failure_reaches_everyone_who_waits() -> None:
    flights, maker = Flights(), Maker()
    maker.error = GenerationFailed("no")
    tasks = [join(flights, maker, name) for name in ("a", "b")]
    await begun(maker, 1)
    maker.ready.set()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, GenerationFailed)
    assert maker.begun == ["a"]


async def test_the_leaders_time_limit_is_not_that_of_the_others() -> None:
    flights, maker = Flights(), Maker()
    maker.error = DeadlineExceeded("the leader's")
    leader, patient, third = (join(flights, maker, name) for name in ("a", "b", "c"))
    await begun(maker, 1)
    maker.ready.set()
    with pytest.raises(DeadlineExceeded):
        await leader
    maker.error = None
    assert {made for _, made in await asyncio.gather(patient, third)} == {"b"}
    assert maker.begun == ["a", "b"]


async def test_one_that_waits_too_long_for_another_is_told_so() -> None:
    flights, maker = Flights(), Maker()
    leader = join(flights, maker, "a")
    await begun(maker, 1)
    with pytest.raises(DeadlineExceeded, match="not finished within the time limit"):
        await join(flights, maker, "b", seconds=0.01)
    maker.ready.set()
    assert (await leader)[1] == "a"
