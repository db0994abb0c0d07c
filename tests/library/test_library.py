"""A library that is stopped stops, whatever it is about, and what was answered before is in it."""

from __future__ import annotations

import asyncio

import numpy as np

from bridge.library.embedding import Vector
from bridge.library.library import Library
from bridge.library.location import Location
from bridge.library.retention import Retention
from bridge.residency import Residency
from tests.library.pictures import picture

_SECONDS = 10


async def embed(residency: Residency, prompt: str) -> Vector:
    return np.ones(4, np.float32)


async def test_it_stops_right_after_a_picture_and_has_it(location: Location) -> None:
    library, entry = Library(location, Retention(), list, embed), picture("a")
    library.start()
    async with asyncio.timeout(_SECONDS):
        while not library.is_open:
            await asyncio.sleep(0.01)
        await library.keep(lambda: entry)
        await library.stop()
    assert library.waiting == 0
