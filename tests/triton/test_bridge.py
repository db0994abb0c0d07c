"""The bridge in front of a real Triton with the demo family, called as STARWEAVE calls it."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from bridge.triton import Triton
from protos import starweave_pb2, starweave_pb2_grpc
from tests.triton.bridge_in_process import codes, pixels, running
from tests.triton.cut_connection import way_to
from tests.triton.family_client import FamilyClient

Progress = starweave_pb2.ImageProgress
PROMPT = "a red circle on a blue background"
# For pictures that are given up: enough steps at the largest size that the test can act before they are finished.
LONG = {"width": 256, "height": 256, "steps": 100}
# For pictures that are waited for, and watched meanwhile.
WATCHED = {"width": 128, "height": 128, "steps": 40}


def request(prompt: str = PROMPT, model: str = "", timeout_ms: int = 0, **settings: Any) -> Any:
    return starweave_pb2.ImageRequest(
        prompt=prompt, model=model, timeout_ms=timeout_ms, settings=starweave_pb2.ImageSettings(**settings)
    )


def small(seed: int, **settings: Any) -> Any:
    return request(width=64, height=64, steps=4, seed=seed, **settings)


@pytest.fixture
async def images(bridge_address: str) -> AsyncIterator[Any]:
    """The service of the session's bridge."""
    async with grpc.aio.insecure_channel(bridge_address) as channel:
        yield starweave_pb2_grpc.ImageGenerationServiceStub(channel)


@pytest.fixture
async def engine(triton_url: str) -> AsyncIterator[Triton]:
    """A door of the test's own to Triton."""
    triton = Triton(triton_url)
    yield triton
    await triton.close()


async def until_idle(engine: Triton) -> None:
    """Returns when the engine holds no generation; the test's own time limit ends it otherwise."""
    while True:
        status = await engine.control("demo_unet", 1, {"op": "status", "ids": []}, 10)
        if status["active"] == status["waiting"] == 0:
            return
        await asyncio.sleep(0.02)


async def last_step(engine: Triton) -> int:
    """The index of the engine's newest UNet step."""
    record = await engine.control("demo_unet", 1, {"op": "record", "last": 1}, 10)
    return int(record["steps"][-1]["index"]) if record["steps"] else 0


async def test_starweaves_defaults_make_a_picture(images: Any) -> None:
    """The call of STARWEAVE's own client, to a deployment that has only the demo family."""
    response = await images.GenerateImage(
        request(model="runwayml/stable-diffusion-v1-5", width=512, height=512, steps=20, guidance_scale=7.5)
    )
    picture = Image.open(io.BytesIO(response.image_data))
    assert (response.error, response.format, picture.format, picture.size) == ("", "image/png", "PNG", (512, 512))
    assert f"{PROMPT}\nSteps: 20, Sampler: " in picture.text["parameters"]
    metadata = response.metadata
    assert metadata.model == "demo"
    assert metadata.generation_time_ms > 0
    assert metadata.generated_at.seconds > 0
    assert metadata.debug_info["requested_model"] == "runwayml/stable-diffusion-v1-5"
    assert metadata.debug_info["generated_size"] == "256x256"
    assert (metadata.debug_info["version"], metadata.debug_info["steps"]) == ("1", "20")
    assert float(metadata.debug_info["denoising_ms"]) > 0


async def test_a_picture_needs_nothing_but_a_prompt(images: Any) -> None:
    response = await images.GenerateImage(starweave_pb2.ImageRequest(prompt=PROMPT))
    assert pixels(response).shape == (128, 128, 3)
    assert response.metadata.debug_info["sampler"] == "ddim"


async def test_the_echoed_seed_makes_the_picture_again(images: Any) -> None:
    first = await images.GenerateImage(request(width=64, height=64, steps=4))
    again = await images.GenerateImage(small(first.metadata.seed))
    other = await images.GenerateImage(small(first.metadata.seed + 1))
    assert np.abs(pixels(first) - pixels(again)).max() <= 1
    assert np.abs(pixels(first) - pixels(other)).mean() > 2


async def test_settings_reach_the_picture(images: Any) -> None:
    plain = pixels(await images.GenerateImage(small(5)))
    for change in (
        {"guidance_scale": 1.0},
        {"negative_prompt": "a blue background"},
        {"sampler": "euler_a"},
        {"guidance_until": 0.25},
    ):
        assert np.abs(pixels(await images.GenerateImage(small(5, **change))) - plain).mean() > 0.5, change


@pytest.mark.parametrize("name", ["jpeg", "webp"])
async def test_other_formats(images: Any, name: str) -> None:
    response = await images.GenerateImage(small(5, output_format=name))
    assert response.format == f"image/{name}"
    assert Image.open(io.BytesIO(response.image_data)).format == name.upper()


async def test_a_bad_request_is_refused_in_band_and_hurts_nobody(images: Any) -> None:
    good, call = images.GenerateImage(small(5)), images.GenerateImage(small(-7, sampler="magic"))
    response = await call
    assert "seed is -7; it must be from 0 to 2147483647" in response.error
    assert "sampler is 'magic'; it must be one of ddim, " in response.error
    assert await codes(call) == ["INVALID_ARGUMENT"]
    assert (await good).error == ""


async def test_models_are_listed(images: Any) -> None:
    (model,) = (await images.GetImageModels(starweave_pb2.ModelRequest())).models
    assert (model.id, model.parameters["status"], model.parameters["version"]) == ("demo", "loaded", "1")
    assert "text-to-image" in model.capabilities


async def test_variations_go_from_the_base_picture_to_new_ones(images: Any) -> None:
    async def variations(strength: float, count: int) -> list[Any]:
        call = images.GenerateImageVariations(
            starweave_pb2.ImageVariationsRequest(
                base_request=small(5), num_variations=count, variation_strength=strength
            )
        )
        return [response async for response in call]

    base = pixels(await images.GenerateImage(small(5)))
    next_seed = pixels(await images.GenerateImage(small(6)))
    (same,) = await variations(0.0, 0)
    assert np.abs(pixels(same) - base).max() <= 2
    (new,) = await variations(1.0, 1)
    assert np.abs(pixels(new) - next_seed).max() <= 2
    halfway = await variations(0.5, 9)
    assert {response.metadata.debug_info["variation_seed"] for response in halfway} == {"6", "7", "8", "9"}
    assert {response.metadata.seed for response in halfway} == {5}
    assert len({response.request_id for response in halfway}) == 4
    for response in halfway:
        assert np.abs(pixels(response) - base).mean() > 0.5


async def test_variations_of_a_bad_request_end_with_its_error(images: Any) -> None:
    call = images.GenerateImageVariations(
        starweave_pb2.ImageVariationsRequest(base_request=small(5), num_variations=2, variation_strength=1.5)
    )
    (response,) = [response async for response in call]
    assert response.error == "variation_strength is 1.5; it must be from 0 to 1."
    assert await codes(call) == ["INVALID_ARGUMENT"]


async def test_one_variation_too_many_leaves_the_others_alone(triton_url: str) -> None:
    async with running(triton_url, max_in_flight=3) as bridge:
        call = bridge.images.GenerateImageVariations(
            starweave_pb2.ImageVariationsRequest(base_request=small(5), num_variations=4, variation_strength=0.5)
        )
        responses = [response async for response in call]
        assert sorted(bool(response.error) for response in responses) == [False, False, False, True]
        assert await codes(call) == ["RESOURCE_EXHAUSTED"]


async def test_what_a_long_prompt_loses_is_told(images: Any) -> None:
    """The demo's text encoder takes 4 windows of 46 tokens."""
    response = await images.GenerateImage(small(5, prompt=", " * 184 + "A Moon", negative_prompt=", " * 185))
    assert response.error == ""
    assert response.metadata.debug_info["dropped_prompt"] == "A Moon"
    assert response.metadata.debug_info["dropped_negative_prompt"] == ", "
    whole = await images.GenerateImage(small(5, prompt=", " * 184))
    assert not {"dropped_prompt", "dropped_negative_prompt"} & whole.metadata.debug_info.keys()


async def test_a_stand_in_says_what_was_asked_for(triton_url: str) -> None:
    async with running(triton_url, fallback_chains="stabilityai/sdxl=nobody,demo") as bridge:
        metadata = (await bridge.images.GenerateImage(small(5, model="stabilityai/sdxl"))).metadata
        assert (metadata.model, metadata.debug_info["requested_model"]) == ("demo", "stabilityai/sdxl")
        assert metadata.debug_info["fallback"] == "unknown"
        assert "fallback" not in (await bridge.images.GenerateImage(small(5, model="demo"))).metadata.debug_info


async def test_a_user_with_a_rate_is_told_when_to_come_back(triton_url: str) -> None:
    """Each variation is a picture; one user's does not touch another's."""
    async with running(triton_url, user_rate="3/hour", max_variations=2) as bridge:
        base = starweave_pb2.ImageVariationsRequest(base_request=small(5), num_variations=4, variation_strength=0.5)
        base.base_request.user_id = "anna"
        responses = [response async for response in bridge.images.GenerateImageVariations(base)]
        assert [response.error for response in responses] == ["", ""]
        call = bridge.images.GenerateImageVariations(base)
        (response,) = [response async for response in call]
        assert response.error.startswith("You may ask for 3 pictures an hour, which are used up; try again in ")
        assert await codes(call) == ["RESOURCE_EXHAUSTED"]
        assert (await bridge.images.GenerateImage(small(5))).error == ""


async def test_progress_is_told_in_order(images: Any) -> None:
    messages = [message async for message in images.GenerateImageStream(request(**WATCHED))]
    stages = [message.stage for message in messages]
    assert stages == sorted(stages)
    assert set(stages) == {Progress.WAITING, Progress.DENOISING, Progress.FINISHED}
    steps = [message.step for message in messages if message.stage == Progress.DENOISING]
    assert len(steps) > 2
    assert steps == sorted(set(steps))
    assert {message.steps for message in messages if message.stage == Progress.DENOISING} == {40}
    assert pixels(messages[-1].result).shape == (128, 128, 3)
    assert {message.request_id for message in messages} == {messages[-1].result.request_id}


@pytest.mark.parametrize("stage", [Progress.WAITING, Progress.DENOISING])
async def test_a_client_that_goes_away_stops_the_engine(images: Any, engine: Triton, stage: int) -> None:
    """WAITING: the generation has not reached the engine when its cancel does."""
    await until_idle(engine)
    before = await last_step(engine)
    call = images.GenerateImageStream(request(**LONG))
    async for message in call:
        if message.stage == stage:
            break
    call.cancel()
    await asyncio.sleep(0.5)
    await until_idle(engine)
    assert await last_step(engine) - before < 100


async def test_a_unary_client_that_goes_away_stops_the_engine(images: Any, engine: Triton) -> None:
    await until_idle(engine)
    before = await last_step(engine)
    call = images.GenerateImage(request(**LONG))
    while await last_step(engine) == before:
        await asyncio.sleep(0.02)
    call.cancel()
    await until_idle(engine)
    assert await last_step(engine) - before < 100


async def test_a_request_to_triton_outlives_who_waited_for_it(engine: Triton, demo: FamilyClient) -> None:
    demo.load()
    latents = {"LATENTS": np.zeros((1, 4, 32, 32), np.float32)}
    waiting = asyncio.create_task(engine.infer("demo_vae_decoder", latents, ["IMAGE"]))
    await asyncio.sleep(0.005)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (call,) = (task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "infer")
    await asyncio.wait([call])
    assert call.result().as_numpy("IMAGE").shape == (1, 256, 256, 3)


@pytest.mark.usefixtures("bridge_address")
async def test_a_broken_connection_costs_no_picture_and_leaves_nothing_behind(triton_url: str, engine: Triton) -> None:
    """Triton goes on with what nobody can take from it any more, until it is told."""
    await until_idle(engine)
    async with way_to(triton_url) as (way, near_end), running(near_end) as bridge:
        call = bridge.images.GenerateImageStream(request(**WATCHED, seed=5))
        while (await call.read()).stage != Progress.DENOISING:
            pass
        way.cut()
        while (message := await call.read()).stage != Progress.FINISHED:
            pass
        again = await bridge.images.GenerateImage(request(**WATCHED, seed=5))
    assert np.abs(pixels(message.result) - pixels(again)).max() <= 2
    record = await engine.control("demo_unet", 1, {"op": "record", "last": 500}, 10)
    steps = [step["ids"] for step in record["steps"]]
    first, second = (sum(name in ids for ids in steps) for name in (message.request_id, f"{message.request_id}.1"))
    assert 0 < first < second == 40


async def test_the_requests_time_limit_ends_it_in_band(images: Any, engine: Triton) -> None:
    await until_idle(engine)
    before = await last_step(engine)
    call = images.GenerateImage(request(**LONG, timeout_ms=300))
    response = await call
    assert response.error.startswith("The picture was not finished within 0.3 seconds")
    assert await codes(call) == ["DEADLINE_EXCEEDED"]
    await until_idle(engine)
    assert await last_step(engine) - before < 100


async def test_a_time_limit_that_cannot_be_met_is_refused_at_once(images: Any, engine: Triton) -> None:
    """As soon as something goes before it; a picture that is alone is tried."""
    await until_idle(engine)
    first = images.GenerateImageStream(request(**LONG))
    while (await first.read()).stage != Progress.DENOISING:
        pass
    call = images.GenerateImage(request(**LONG, timeout_ms=300))
    response = await call
    assert response.error.startswith("The picture may take up to ")
    assert re.search(r" s, waiting included, and has 0\.[0-3]\d? s; try again later, ", response.error)
    assert await codes(call) == ["RESOURCE_EXHAUSTED"]
    first.cancel()


async def test_the_clients_own_deadline_ends_it(images: Any, engine: Triton) -> None:
    """The client tells itself by a status, unless the bridge's sentence comes a moment before."""
    await until_idle(engine)
    before = await last_step(engine)
    try:
        response = await images.GenerateImage(request(**LONG), timeout=0.3)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    else:
        assert response.error.startswith("The picture was not finished within 0.")
    await asyncio.sleep(0.5)
    await until_idle(engine)
    assert await last_step(engine) - before < 100


async def test_more_than_it_takes_is_refused(triton_url: str) -> None:
    async with running(triton_url, max_in_flight=1) as bridge:
        first = bridge.images.GenerateImageStream(request(**LONG))
        await first.read()
        call = bridge.images.GenerateImage(small(5))
        assert "The server is busy with 1 pictures" in (await call).error
        assert await codes(call) == ["RESOURCE_EXHAUSTED"]
        first.cancel()


async def test_what_a_full_engine_refused_is_refused_for_a_while_without_asking_it(
    triton_url: str, engine: Triton, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer, asked = Triton.infer, []

    async def counting(triton: Triton, model: str, *more: Any, **options: Any) -> Any:
        if model == "demo" and triton is not engine:
            asked.append(model)
        return await infer(triton, model, *more, **options)

    async def standing() -> dict[str, Any]:
        return await engine.control("demo_unet", 1, {"op": "status", "ids": []}, 10)

    await until_idle(engine)
    many = {
        "PROMPT_EMBEDDINGS": np.zeros((1, 48, 128), np.float32),
        "SEED": np.ones((1, 1), np.int64),
        "STEPS": np.full((1, 1), 100, np.int32),
        "GUIDANCE_SCALE": np.ones((1, 1), np.float32),
        **{side: np.full((1, 1), 256, np.int32) for side in ("WIDTH", "HEIGHT")},
    }
    names = [f"before-{number}" for number in range(300)]
    async with running(triton_url) as bridge:
        monkeypatch.setattr(Triton, "infer", counting)
        before = [asyncio.create_task(engine.infer("demo_unet", many, ["LATENTS"], request_id=name)) for name in names]
        while (await standing())["waiting"] < 256:
            await asyncio.sleep(0.02)
        calls = [bridge.images.GenerateImage(small(1))]
        first = await calls[0]
        calls.append(bridge.images.GenerateImage(small(2)))
        assert "256 pictures are waiting and 256 may" in first.error
        assert (await calls[1]).error == first.error
        assert [await codes(call) for call in calls] == [["RESOURCE_EXHAUSTED"]] * 2
        assert len(asked) == 1
        await engine.control("demo_unet", 1, {"op": "cancel", "ids": names}, 10)
        await asyncio.wait(before)
        while "pictures are waiting" in (again := await bridge.images.GenerateImage(small(2))).error:
            await asyncio.sleep(0.1)
        assert pixels(again).shape == (64, 64, 3)


async def test_a_stop_lets_pictures_finish_and_takes_no_new_ones(triton_url: str) -> None:
    async with running(triton_url, drain_grace=120) as bridge:
        under_way = bridge.images.GenerateImageStream(request(**WATCHED))
        await under_way.read()
        stopping = asyncio.create_task(bridge.server.stop())
        await asyncio.sleep(0.2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bridge.images.GenerateImage(small(5))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        while (message := await under_way.read()).stage != Progress.FINISHED:
            pass
        assert pixels(message.result).shape == (128, 128, 3)
        await stopping


async def test_a_stop_cancels_what_its_grace_does_not_hold(triton_url: str, engine: Triton) -> None:
    await until_idle(engine)
    async with running(triton_url, drain_grace=0.2) as bridge:
        before = await last_step(engine)
        under_way = asyncio.ensure_future(bridge.images.GenerateImage(request(**LONG)))
        while await last_step(engine) == before:
            await asyncio.sleep(0.02)
        await bridge.server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await under_way
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await until_idle(engine)
    assert await last_step(engine) - before < 100
