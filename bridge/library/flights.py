"""Identical requests that are under way at the same time are made once."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from bridge.errors import DeadlineExceeded, Overloaded
from protos import starweave_pb2

Make = Callable[[], Coroutine[Any, Any, starweave_pb2.ImageResponse]]


@dataclass(slots=True, eq=False)
class Flight:
    """One picture under way, and the requests that wait for it; `leader` is the id of the first of them."""

    key: str
    leader: str
    making: asyncio.Task[starweave_pb2.ImageResponse]
    passengers: set[str] = field(default_factory=set)


class Flights:
    """The pictures under way, by what they have in common."""

    def __init__(self) -> None:
        self._by_key: dict[str, Flight] = {}
        self._by_passenger: dict[str, Flight] = {}

    def leader(self, request_id: str) -> str:
        """The id under which the engine makes this request's picture: its own, or that of the one it waits with."""
        flight = self._by_passenger.get(request_id)
        return request_id if flight is None else flight.leader

    async def join(
        self, key: str, request_id: str, make: Make, seconds: float
    ) -> tuple[starweave_pb2.ImageResponse, str]:
        """The picture of `key`: that of a request under way, or else made by `make`; with the id of its maker.

        A request that is cancelled leaves the others alone; with the last one the picture is given up. One that waits
        longer than `seconds` raises DeadlineExceeded. One whose leader ran out of time is made anew.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            flight = self._by_key.get(key)
            if flight is None or flight.making.done():
                flight = self._begin(key, request_id, make)
            try:
                return await self._ride(flight, request_id, deadline), flight.leader
            except (DeadlineExceeded, Overloaded):
                # The limit may have been the leader's alone.
                if flight.leader == request_id or not flight.making.done():
                    raise

    def _begin(self, key: str, request_id: str, make: Make) -> Flight:
        flight = self._by_key[key] = Flight(key, request_id, asyncio.create_task(make()))

        def land(making: asyncio.Task[starweave_pb2.ImageResponse]) -> None:
            self._forget(flight)
            if not making.cancelled():
                # Retrieved here as well: there may be no passenger left to do so.
                making.exception()

        flight.making.add_done_callback(land)
        return flight

    async def _ride(self, flight: Flight, request_id: str, deadline: float) -> starweave_pb2.ImageResponse:
        flight.passengers.add(request_id)
        self._by_passenger[request_id] = flight
        try:
            remaining = None if flight.leader == request_id else deadline - asyncio.get_running_loop().time()
            await asyncio.wait({flight.making}, timeout=remaining)
            if flight.making.done():
                return flight.making.result()
            raise DeadlineExceeded(
                "The picture was not finished within the time limit, waiting included; "
                "ask for fewer steps or a smaller size, or allow more time."
            )
        finally:
            flight.passengers.discard(request_id)
            self._by_passenger.pop(request_id, None)
            if not flight.passengers and not flight.making.done():
                self._forget(flight)
                flight.making.cancel()

    def _forget(self, flight: Flight) -> None:
        # Another flight may have begun under the same key after this one was given up.
        if self._by_key.get(flight.key) is flight:
            del self._by_key[flight.key]
