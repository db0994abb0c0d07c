"""Everything that clients do, in turns: pictures of all kinds, streams, wrong requests, and calls given up midway."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from PIL import Image

from protos import starweave_pb2, starweave_pb2_grpc

_OPTIONS = [("grpc.max_receive_message_length", 50 * 1024 * 1024)]
_DEADLINE_SECONDS = 60.0
_SIDES = (64, 128)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one call; `failure` is "" where it went as it should. `valid`: it counts as a client's picture."""

    ended: float
    seconds: float
    failure: str
    valid: bool


class Caller:
    """One client, with random numbers of its own."""

    def __init__(self, stub: Any, seed: int) -> None:
        self._stub = stub
        self._rng = random.Random(seed)
        self._init_image = _init_image()
        self._kinds: list[tuple[Callable[[], Awaitable[str]], bool, int]] = [
            (self._picture, True, 12),
            (self._from_picture, True, 3),
            (self._variations, True, 2),
            (self._stream, True, 3),
            (self._wrong, False, 2),
            (self._given_up, False, 2),
        ]

    async def call(self) -> Answer:
        """Makes one call of a kind that is drawn."""
        kind, valid, _ = self._rng.choices(self._kinds, [weight for _, _, weight in self._kinds])[0]
        began = time.monotonic()
        try:
            failure = await kind()
        except grpc.aio.AioRpcError as error:
            failure = f"{error.code().name}: {error.details()}"
        ended = time.monotonic()
        return Answer(ended, ended - began, failure, valid)

    def _request(self, **more: Any) -> Any:
        side = self._rng.choice(_SIDES)
        settings = starweave_pb2.ImageSettings(
            width=side,
            height=side,
            steps=self._rng.randint(2, 12),
            guidance_scale=self._rng.choice((1.0, 4.0, 7.5)),
            sampler=self._rng.choice(("", "ddim", "euler_a", "dpmpp_2m")),
            seed=self._rng.randrange(2**31),
        )
        return starweave_pb2.ImageRequest(prompt="a red circle on a blue background", settings=settings, **more)

    async def _picture(self) -> str:
        return str((await self._stub.GenerateImage(self._request(), timeout=_DEADLINE_SECONDS)).error)

    async def _from_picture(self) -> str:
        request = self._request(init_image=self._init_image, strength=0.6)
        return str((await self._stub.GenerateImage(request, timeout=_DEADLINE_SECONDS)).error)

    async def _variations(self) -> str:
        request = starweave_pb2.ImageVariationsRequest(
            base_request=self._request(), num_variations=3, variation_strength=0.5
        )
        call = self._stub.GenerateImageVariations(request, timeout=_DEADLINE_SECONDS)
        errors = [response.error async for response in call]
        return "" if errors == [""] * 3 else f"variations: {errors}"

    async def _stream(self) -> str:
        call = self._stub.GenerateImageStream(self._request(previews=True), timeout=_DEADLINE_SECONDS)
        messages = [message async for message in call]
        return str(messages[-1].result.error) if messages else "a stream without a message"

    async def _wrong(self) -> str:
        request = self._request()
        request.settings.steps = 100_000
        error = (await self._stub.GenerateImage(request, timeout=_DEADLINE_SECONDS)).error
        return "" if "steps" in error else f"a wrong request was answered with {error!r}"

    async def _given_up(self) -> str:
        call = self._stub.GenerateImageStream(self._request(), timeout=_DEADLINE_SECONDS)
        await call.read()
        await asyncio.sleep(self._rng.random() * 0.2)
        call.cancel()
        return ""


async def call_until(address: str, seeds: Iterable[int], is_over: Callable[[Sequence[Answer]], bool]) -> list[Answer]:
    """Lets a caller of each seed call again and again until `is_over` says so of the answers, the oldest first."""
    answers: list[Answer] = []
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)

        async def one(seed: int) -> None:
            caller = Caller(stub, seed)
            while not is_over(answers):
                answers.append(await caller.call())

        await asyncio.gather(*(one(seed) for seed in seeds))
    return answers


def _init_image() -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((96, 64)).save(file, "PNG")
    return file.getvalue()
