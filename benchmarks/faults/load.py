"""Clients that ask for pictures one after the other, and what became of each."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

import grpc

from protos import starweave_pb2, starweave_pb2_grpc

# As long as STARWEAVE's own client waits.
DEADLINE_SECONDS = 60.0
# A client that comes back at once, so that what is measured is the server's recovery.
_OPTIONS = [
    ("grpc.max_receive_message_length", 50 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.use_local_subchannel_pool", 1),
]
# Codes that a client is told before its deadline has passed.
_UNANSWERED = grpc.StatusCode.DEADLINE_EXCEEDED


@dataclass(frozen=True, slots=True)
class Asked:
    """One picture that was asked for; times are monotonic seconds.

    `failure` is what the client was told, "" where it has its picture; `unanswered`: it was told nothing in time.
    """

    began: float
    ended: float
    failure: str
    unanswered: bool


@dataclass(slots=True)
class Load:
    """`clients` that ask for a picture when they have the one before, and wait `deadline_seconds` for each."""

    address: str
    clients: int
    steps: int = 8
    side: int = 64
    deadline_seconds: float = DEADLINE_SECONDS
    asked: list[Asked] = field(default_factory=list)
    _stopping: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        """Starts the clients."""
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]

    async def until_made(self, count: int, since: float, seconds: float) -> bool:
        """Returns whether `count` pictures that were asked for after `since` are made within `seconds`."""
        deadline = time.monotonic() + seconds
        while len(self.made_since(since)) < count:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return True

    def made_since(self, since: float) -> list[Asked]:
        """The pictures that were asked for after `since` and are made."""
        return [each for each in self.asked if each.began >= since and not each.failure and not each.unanswered]

    async def stop(self) -> None:
        """Asks for no more and waits for what is under way."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def _client(self, number: int) -> None:
        # Never twice the same picture: the library would have it.
        rng = random.Random(f"{number} {time.monotonic()}")
        settings = starweave_pb2.ImageSettings(width=self.side, height=self.side, steps=self.steps)
        async with grpc.aio.insecure_channel(self.address, options=_OPTIONS) as channel:
            stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
            while not self._stopping:
                began, failure, unanswered = time.monotonic(), "", False
                settings.seed = rng.randrange(2**31)
                request = starweave_pb2.ImageRequest(prompt="a red circle", settings=settings)
                try:
                    failure = (await stub.GenerateImage(request, timeout=self.deadline_seconds)).error
                except grpc.aio.AioRpcError as error:
                    failure = f"{error.code().name}: {error.details()}"
                    unanswered = error.code() is _UNANSWERED
                self.asked.append(Asked(began, time.monotonic(), failure, unanswered))
                if failure:
                    await asyncio.sleep(0.2)
