"""The library behind a real bridge and a real Triton: what is answered is kept, repeated, found and deleted."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from protos import image_library_pb2, starweave_pb2
from tests.triton.bridge_in_process import RunningBridge, running
from tests.triton.family_client import FamilyClient

Progress = starweave_pb2.ImageProgress
OFF = (("starweave-library", "off"),)


@pytest.fixture
async def bridge(triton_url: str, demo: FamilyClient, tmp_path: Path) -> AsyncIterator[RunningBridge]:
    # Told of every step, however fast the machine is.
    async with running(triton_url, library=tmp_path / "library", progress_interval=0.01) as bridge:
        yield bridge


def request(
    prompt: str = "a red circle", seed: int = 1, steps: int = 2, user: str = "ann", side: int = 64, **settings: Any
) -> Any:
    return starweave_pb2.ImageRequest(
        prompt=prompt,
        user_id=user,
        settings=starweave_pb2.ImageSettings(width=side, height=side, steps=steps, seed=seed, **settings),
    )


async def made(bridge: RunningBridge, asked: Any, **call: Any) -> Any:
    response = await bridge.images.GenerateImage(asked, **call)
    assert response.error == ""
    return response


async def listed(bridge: RunningBridge, count: int) -> list[Any]:
    """The pictures of the library, once there are so many."""
    while len(images := (await bridge.library.ListImages(image_library_pb2.ListImagesRequest())).images) < count:
        await asyncio.sleep(0.05)
    return list(images)


async def status(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_a_picture_is_kept_with_all_that_made_it(bridge: RunningBridge) -> None:
    asked = request("a Red circle, on a blue background", seed=7, negative_prompt="green", sampler="euler")
    asked.context.append("earlier words")
    response = await made(bridge, asked)
    kept = await bridge.library.GetImage(image_library_pb2.GetImageRequest(id=response.request_id))
    assert kept.image_data == response.image_data
    assert kept.sha256 == hashlib.sha256(response.image_data).hexdigest()
    assert (kept.user_id, kept.model, kept.version, kept.seed) == ("ann", "demo", 1, 7)
    assert kept.prompt == kept.prompt_given == "a Red circle, on a blue background"
    assert (kept.negative_prompt, kept.settings["sampler"], kept.settings["steps"]) == ("green", "euler", "2")
    assert (kept.width, kept.height, kept.format, kept.size_bytes) == (64, 64, "image/png", len(response.image_data))
    assert kept.created_at.ToMilliseconds() == response.metadata.generated_at.ToMilliseconds()
    assert kept.debug_info["denoising_ms"] == response.metadata.debug_info["denoising_ms"]
    assert "earlier words" in kept.request_json and kept.repeat_of == ""


async def test_an_exact_repeat_is_answered_from_the_library(bridge: RunningBridge) -> None:
    first = await made(bridge, request(seed=11))
    await listed(bridge, 1)
    asked = request(seed=11, user="bob")
    asked.model = "demo"
    again = await made(bridge, asked)
    assert again.image_data == first.image_data and again.request_id != first.request_id
    assert again.metadata.debug_info["repeat_of"] == first.request_id
    assert again.metadata.seed == 11
    told, before = dict(again.metadata.debug_info), dict(first.metadata.debug_info)
    assert (told["requested_model"], before["requested_model"]) == ("demo", "")
    assert told["denoising_ms"] == before["denoising_ms"] and told.keys() - before.keys() == {"repeat_of"}
    assert again.metadata.generated_at.ToMilliseconds() == first.metadata.generated_at.ToMilliseconds()
    for other in (request(seed=12), request(seed=11, steps=3), request(seed=11, output_format="jpeg")):
        assert "repeat_of" not in (await made(bridge, other)).metadata.debug_info
    refreshed = await made(bridge, request(seed=11), metadata=OFF)
    assert "repeat_of" not in refreshed.metadata.debug_info
    assert len(await listed(bridge, 5)) == 5, "what is told to stay out of the library does"
    # The first user's deletion leaves the second user's picture.
    deleted = await bridge.library.DeleteUserData(image_library_pb2.UserDataRequest(user_id="ann"))
    assert deleted.count == 4
    kept = await bridge.library.GetImage(image_library_pb2.GetImageRequest(id=again.request_id))
    assert kept.image_data == first.image_data and kept.user_id == "bob"


async def test_repeats_can_be_switched_off(triton_url: str, demo: FamilyClient, tmp_path: Path) -> None:
    async with running(triton_url, library=tmp_path / "library", repeats=False) as bridge:
        for _ in range(2):
            answers = await asyncio.gather(made(bridge, request(seed=5)), made(bridge, request(seed=5)))
            assert not any("repeat_of" in answer.metadata.debug_info for answer in answers)
        await listed(bridge, 4)


async def test_equal_requests_under_way_are_made_once_and_one_may_leave(bridge: RunningBridge) -> None:
    # As long as the family allows: it is under way until the last of them has joined.
    long = request(seed=21, steps=100, side=256)
    streams = []
    for _ in range(3):
        # The first one under way, and no other, is the one that is made.
        streams.append(bridge.images.GenerateImageStream(long))
        while (await streams[-1].read()).stage != Progress.DENOISING:
            pass
    streams[0].cancel()
    results = []
    for stream in streams[1:]:
        while (message := await stream.read()).stage != Progress.FINISHED:
            assert message.steps == 100, "who waits for another's picture is told its progress"
        assert message.result.error == ""
        results.append(message.result)
    assert results[0].image_data == results[1].image_data
    leaders = {result.metadata.debug_info["repeat_of"] for result in results}
    assert len(leaders) == 1, "both were made by the request that has gone"
    kept = await listed(bridge, 2)
    assert {image.id for image in kept} == {result.request_id for result in results}


async def test_pictures_are_searched_rated_and_counted(bridge: RunningBridge) -> None:
    prompts = ("a red circle on a blue background", "a crimson circle on a blue background", "a green star")
    ids = [(await made(bridge, request(prompt, seed=31))).request_id for prompt in prompts]
    await listed(bridge, 3)
    search = image_library_pb2.SearchImagesRequest(query="CIRC blue", page_size=1)
    page = await bridge.library.SearchImages(search)
    search.page_token = page.next_page_token
    rest = await bridge.library.SearchImages(search)
    assert [image.id for image in (*page.images, *rest.images)] == ids[1::-1] and not rest.next_page_token
    rated = await bridge.library.RateImage(image_library_pb2.RateImageRequest(id=ids[2], rating=5, comment="good"))
    assert (rated.rating, rated.comment) == (5, "good")
    well = image_library_pb2.ImageFilter(min_rating=4)
    assert [each.id for each in (await bridge.library.ListImages(_list(filter=well))).images] == [ids[2]]
    counted = await bridge.library.GetStatistics(image_library_pb2.GetStatisticsRequest())
    assert (counted.images, counted.users, list(counted.ratings)) == (3, 1, [0, 0, 0, 0, 1])
    assert [group.name for group in counted.models] == ["demo"]


async def test_similar_pictures_are_found_by_what_their_prompts_mean(bridge: RunningBridge) -> None:
    prompts = ("a red circle on a blue background", "a green star", "a red circle on a blue background")
    ids = [(await made(bridge, request(prompt, seed=41 + n))).request_id for n, prompt in enumerate(prompts)]
    await listed(bridge, 3)
    ask = image_library_pb2.FindSimilarImagesRequest
    found: list[Any] = []
    # Embeddings are computed after the pictures are recorded.
    while len(found) < 2:
        found = list((await bridge.library.FindSimilarImages(ask(id=ids[0]))).matches)
        await asyncio.sleep(0.05)
    assert [match.image.id for match in found] == [ids[2], ids[1]]
    assert found[0].similarity == pytest.approx(1, abs=1e-4) and found[1].similarity < 0.9
    by_prompt = (await bridge.library.FindSimilarImages(ask(prompt="a green star", limit=1))).matches
    assert [match.image.id for match in by_prompt] == [ids[1]]
    assert by_prompt[0].similarity == pytest.approx(1, abs=1e-4)
    nobody = image_library_pb2.ImageFilter(user_id="nobody")
    assert not (await bridge.library.FindSimilarImages(ask(prompt="a green star", filter=nobody))).matches


async def test_a_user_takes_everything_along(bridge: RunningBridge) -> None:
    for seed, user in ((51, "ann"), (52, "bob"), (53, "ann")):
        await made(bridge, request(seed=seed, user=user))
    exported = [
        image async for image in bridge.library.ExportUserData(image_library_pb2.UserDataRequest(user_id="ann"))
    ]
    assert [image.seed for image in exported] == [53, 51] and all(image.image_data for image in exported)


@pytest.mark.parametrize(
    ("method", "asked", "code", "text"),
    [
        ("GetImage", {"id": "none"}, grpc.StatusCode.NOT_FOUND, "holds no picture 'none'"),
        ("GetImage", {"id": "a\0b"}, grpc.StatusCode.INVALID_ARGUMENT, "control character"),
        ("DeleteImage", {"id": "none"}, grpc.StatusCode.NOT_FOUND, "holds no picture"),
        ("RateImage", {"id": "none", "rating": 6}, grpc.StatusCode.INVALID_ARGUMENT, "from 1 to 5"),
        ("RateImage", {"id": "none", "rating": 5}, grpc.StatusCode.NOT_FOUND, "holds no picture"),
        ("RateImage", {"rating": 5, "comment": "x" * 2001}, grpc.StatusCode.INVALID_ARGUMENT, "up to 2000"),
        ("ListImages", {"page_size": 201}, grpc.StatusCode.INVALID_ARGUMENT, "page_size is 201"),
        ("ListImages", {"page_token": "-1"}, grpc.StatusCode.INVALID_ARGUMENT, "page_token"),
        ("ListImages", {"filter": {"min_rating": 9}}, grpc.StatusCode.INVALID_ARGUMENT, "min_rating is 9"),
        ("SearchImages", {"query": "x" * 1001}, grpc.StatusCode.INVALID_ARGUMENT, "query is 1001"),
        ("FindSimilarImages", {}, grpc.StatusCode.INVALID_ARGUMENT, "Neither id nor prompt"),
        ("FindSimilarImages", {"prompt": " "}, grpc.StatusCode.INVALID_ARGUMENT, "prompt is empty"),
        ("DeleteUserData", {}, grpc.StatusCode.INVALID_ARGUMENT, "user_id is empty"),
    ],
)
async def test_what_cannot_be_done_is_told_by_a_status(
    bridge: RunningBridge, method: str, asked: dict[str, Any], code: grpc.StatusCode, text: str
) -> None:
    kinds = {"DeleteUserData": "UserData"}
    message = getattr(image_library_pb2, f"{kinds.get(method, method)}Request")(**asked)
    got, details = await status(getattr(bridge.library, method)(message))
    assert got is code and text in details


async def test_without_a_library_the_service_is_not_there(triton_url: str, demo: FamilyClient) -> None:
    async with running(triton_url) as bridge:
        got, _ = await status(bridge.library.ListImages(_list()))
        assert got is grpc.StatusCode.UNIMPLEMENTED


def _list(**fields: Any) -> Any:
    return image_library_pb2.ListImagesRequest(**fields)
