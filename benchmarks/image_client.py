"""Sends a load to a server that speaks STARWEAVE's protocol: the bridge, or the baseline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc

from benchmarks.loads import Load, PictureSettings
from benchmarks.served import ServedPicture
from protos import starweave_pb2, starweave_pb2_grpc

_OPTIONS = [("grpc.max_receive_message_length", 50 * 1024 * 1024)]
_TIMEOUT_SECONDS = 600.0

Alone = Callable[[PictureSettings], float]


class PictureFailed(Exception):
    """A picture of the load was not made; the message is the server's."""


def serve_load(address: str, model: str, load: Load, alone: Alone) -> list[ServedPicture]:
    """Sends every picture when it is due and waits for all. Raises PictureFailed, or grpc.RpcError.

    `alone` tells what a picture takes with nothing else on the machine.
    """
    return asyncio.run(_Client(model, load, alone).run(address))


class _Client:
    def __init__(self, model: str, load: Load, alone: Alone) -> None:
        self._model = model
        self._load = load
        self._alone = alone
        self._began = 0.0
        self._served: list[ServedPicture] = []

    async def run(self, address: str) -> list[ServedPicture]:
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                await channel.channel_ready()
            stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
            self._began = time.perf_counter()
            under_way: set[asyncio.Task[None]] = set()
            while under_way or self._load.next_arrival() is not None:
                for arrival, picture in self._load.due(self._now()):
                    under_way.add(asyncio.create_task(self._make(stub, picture, arrival)))
                next_arrival = self._load.next_arrival()
                wait = None if next_arrival is None else max(next_arrival - self._now(), 0)
                if not under_way:
                    await asyncio.sleep(wait or 0)
                    continue
                done, under_way = await asyncio.wait(under_way, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        return self._served

    async def _make(self, stub: Any, picture: PictureSettings, arrival: float) -> None:
        settings = starweave_pb2.ImageSettings(
            width=picture.size,
            height=picture.size,
            steps=picture.steps,
            guidance_scale=picture.guidance_scale,
            seed=picture.seed,
            sampler=picture.sampler,
        )
        request = starweave_pb2.ImageRequest(prompt=picture.prompt, model=self._model, settings=settings)
        response = await stub.GenerateImage(request, timeout=_TIMEOUT_SECONDS)
        if response.error:
            raise PictureFailed(response.error)
        finished = self._now()
        self._load.on_finished(finished)
        told = response.metadata.debug_info
        self._served.append(
            ServedPicture(
                arrival=arrival,
                finished=finished,
                alone=self._alone(picture),
                mean_rows=float(told.get("mean_rows", picture.rows)),
                steps_waited=float(told.get("steps_waited", 0)),
            )
        )

    def _now(self) -> float:
        return time.perf_counter() - self._began
