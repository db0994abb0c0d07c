"""A database or a blob store that goes away: pictures are made all the same, and recorded when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks.library.postgresql_server import PostgresqlServer
from bridge.library.location import Location
from protos import image_library_pb2, starweave_pb2
from tests.library.installed_postgresql import programs_or_skip
from tests.library.s3_server import BUCKET, S3Server
from tests.triton.bridge_in_process import RunningBridge, running
from tests.triton.family_client import FamilyClient


@pytest.fixture
def database() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer(programs_or_skip())
    yield server
    server.close()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    server = S3Server()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    yield server
    server.stop()


async def made(bridge: RunningBridge, seed: int) -> str:
    settings = starweave_pb2.ImageSettings(width=64, height=64, steps=1, seed=seed)
    response = await bridge.images.GenerateImage(starweave_pb2.ImageRequest(prompt="a moon", settings=settings))
    assert response.error == ""
    return str(response.request_id)


async def recorded(bridge: RunningBridge, image_id: str) -> Any:
    """The picture, once it is recorded; the test's own time limit ends it otherwise."""
    while True:
        try:
            return await bridge.library.GetImage(image_library_pb2.GetImageRequest(id=image_id))
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            await asyncio.sleep(0.1)


async def test_generation_goes_on_and_records_arrive_later(
    triton_url: str, demo: FamilyClient, tmp_path: Path, database: PostgresqlServer, store: S3Server
) -> None:
    location = Location(tmp_path / "library", database.url(), f"s3://{BUCKET}/pictures")
    settings = {"library_database": location.database, "library_blobs": location.blobs}
    async with running(triton_url, library=location.folder, **settings) as bridge:
        # Neither is there at the start.
        before = await made(bridge, 1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bridge.library.ListImages(image_library_pb2.ListImagesRequest())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        await asyncio.to_thread(database.start)
        await asyncio.to_thread(store.start)
        assert (await recorded(bridge, before)).seed == 1

        await asyncio.to_thread(database.stop)
        during = [await made(bridge, seed) for seed in (2, 3)]
        assert len(list(location.journal.glob("*.entry"))) == 2
        await asyncio.to_thread(database.start)
        assert [(await recorded(bridge, each)).seed for each in during] == [2, 3]

        await asyncio.to_thread(store.stop)
        without_store = await made(bridge, 4)
        await asyncio.to_thread(store.start)
        assert (await recorded(bridge, without_store)).image_data
    assert list(location.journal.iterdir()) == []
