"""What an API key opens: every service, and the one library of all keys; what a user is called, clients say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from bridge.library.location import Location
from bridge.library.schema import prompts
from bridge.security.api_keys import new_key
from protos import image_insight_pb2, image_library_pb2, image_library_pb2_grpc, starweave_pb2
from tests.bridge.security.test_guarded_bridge import refusal, running
from tests.library.conftest import OpenLibrary, open_library
from tests.library.pictures import picture

SERVICES = {
    name: service
    for file in (starweave_pb2, image_library_pb2, image_insight_pb2)
    for name, service in file.DESCRIPTOR.services_by_name.items()
}
METHODS = [(service.full_name, method) for service in SERVICES.values() for method in service.methods]


@pytest.fixture
def library(tmp_path: Path) -> OpenLibrary:
    """Two pictures of each of two users, of prompts whose meaning is known."""
    made = open_library(Location(tmp_path / "library"))
    for user in ("ann", "bob"):
        for number in (1, 2):
            entry = picture(f"{user}{number}", user_id=user, prompt_given=f"cat {user} {number}")
            made.records.add([entry])
    with made.database.writing() as connection:
        vector = np.eye(1, 4, dtype="<f4").tobytes()
        connection.execute(prompts.update().values(vector=vector, embedded_at=5))
    made.database.close()
    return made


@pytest.mark.parametrize(("service", "method"), METHODS, ids=lambda each: getattr(each, "name", each))
async def test_without_a_key_nothing_is_answered(tmp_path: Path, service: str, method: Any) -> None:
    (tmp_path / "keys").write_text(new_key("app").line)
    async with (
        running(api_keys_file=tmp_path / "keys", library=tmp_path / "library") as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        kind = ("stream" if method.client_streaming else "unary", "stream" if method.server_streaming else "unary")
        call = getattr(channel, "_".join(kind))(f"/{service}/{method.name}")
        made = call(b"") if kind[0] == "unary" else call()
        error = await refusal(made if kind[1] == "unary" else made.read())
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def opened(stub: Any, key: str) -> None:
    """Returns when the bridge, which does not wait for its library, has opened it."""
    while True:
        try:
            await stub.GetStatistics(image_library_pb2.GetStatisticsRequest(), metadata=[("x-api-key", key)])
            return
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error
            await asyncio.sleep(0.05)


async def test_keys_share_one_library(library: OpenLibrary, tmp_path: Path) -> None:
    app, other = new_key("app"), new_key("other")
    (tmp_path / "keys").write_text(f"{app.line}\n{other.line}")
    pb = image_library_pb2
    ann = pb.UserDataRequest(user_id="ann")
    async with (
        running(api_keys_file=tmp_path / "keys", library=library.location.folder) as port,
        grpc.aio.insecure_channel(f"localhost:{port}") as channel,
    ):
        stub: Any = image_library_pb2_grpc.ImageLibraryServiceStub(channel)

        async def ask(method: str, request: Any, key: str) -> Any:
            return await getattr(stub, method)(request, metadata=[("x-api-key", key)], timeout=20)

        await opened(stub, app.key)
        await ask("RateImage", pb.RateImageRequest(id="ann1", rating=4), app.key)
        for method, request, count in (
            ("GetImage", pb.GetImageRequest(id="ann1"), lambda found: found.rating == 4),
            ("ListImages", pb.ListImagesRequest(), lambda found: len(found.images) == 4),
            ("SearchImages", pb.SearchImagesRequest(query="cat ann"), lambda found: len(found.images) == 2),
            ("FindSimilarImages", pb.FindSimilarImagesRequest(id="ann1"), lambda found: len(found.matches) == 3),
            ("GetStatistics", pb.GetStatisticsRequest(), lambda found: (found.images, found.users) == (4, 2)),
        ):
            answers = [await ask(method, request, each.key) for each in (app, other)]
            assert answers[0] == answers[1] and count(answers[0]), method
        exported = [each.id async for each in stub.ExportUserData(ann, metadata=[("x-api-key", other.key)])]
        assert exported == ["ann2", "ann1"]
        # What one deletes is gone for all.
        await ask("DeleteImage", pb.DeleteImageRequest(id="bob1"), other.key)
        assert (await ask("DeleteUserData", ann, other.key)).count == 2
        assert [each.id for each in (await ask("ListImages", pb.ListImagesRequest(), app.key)).images] == ["bob2"]
