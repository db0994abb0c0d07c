"""Enlarges finished pictures with an upscaler, tile by tile."""

import asyncio
from dataclasses import dataclass
from typing import Any

from bridge.deadline import Deadline
from bridge.errors import DeadlineExceeded, ModelLost
from bridge.observability.tracing import outgoing_headers
from bridge.tiles import Pixels, TileGrid
from bridge.triton import Triton
from bridge.upscalers import ResidentUpscaler, Upscaler

# Tiles of one picture that Triton has at a time: enough for a batch, and other pictures' tiles get their turn.
_TILES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Upscaled:
    """Pixels [factor*H, factor*W, 3] and what made them."""

    pixels: Pixels
    upscaler: Upscaler


class Upscaling:
    """Sends the tiles of pictures to Triton, whose dynamic batching joins those of several pictures."""

    def __init__(self, triton: Triton) -> None:
        self._triton = triton

    async def upscale(self, pixels: Pixels, resident: ResidentUpscaler, deadline: Deadline) -> Upscaled:
        """Enlarges pixels [H,W,3] before the deadline, with the version that is active at the start.

        Raises one of the bridge's errors.
        """
        upscaler = resident.upscaler
        work = asyncio.create_task(self._upscale(pixels, upscaler, deadline))
        lost = resident.lost
        try:
            waited: set[asyncio.Future[Any]] = {work, lost}
            await asyncio.wait(waited, timeout=deadline.remaining, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return Upscaled(work.result(), upscaler)
            if lost.done():
                raise ModelLost(str(lost.result()))
            raise DeadlineExceeded(
                "The picture was made, but not upscaled within its time limit; "
                "ask for a smaller size or factor, or allow more time."
            )
        finally:
            work.cancel()

    async def _upscale(self, pixels: Pixels, upscaler: Upscaler, deadline: Deadline) -> Pixels:
        grid = TileGrid.over(pixels, upscaler.rule)
        room = asyncio.Semaphore(_TILES_AT_ONCE)

        async def enlarge(tile: Pixels) -> Pixels:
            async with room:
                outputs = await self._triton.infer(
                    upscaler.name,
                    {"IMAGE": tile[None]},
                    ["UPSCALED"],
                    version=upscaler.version,
                    timeout=max(0.001, deadline.remaining),
                    headers=outgoing_headers(),
                )
            upscaled: Pixels = outputs["UPSCALED"][0]
            return upscaled

        tasks = [asyncio.create_task(enlarge(tile)) for tile in grid.cut(pixels)]
        try:
            tiles = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        # Beside the event loop: joining touches every pixel.
        return await asyncio.to_thread(grid.join, tiles, upscaler.factor)
