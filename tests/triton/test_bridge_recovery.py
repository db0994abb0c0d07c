"""What the bridge does when Triton's models change, die or go away; on a Triton of its own, which is killed here."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from protos import starweave_pb2
from standalone.stack import StackSettings
from standalone.triton import Triton, TritonPorts
from tests.triton.bridge_in_process import RunningBridge, codes, pixels, running

START_SECONDS = 120.0
Progress = starweave_pb2.ImageProgress


def request(steps: int = 4, side: int = 64, seed: int | None = None, timeout_ms: int = 0) -> Any:
    settings = starweave_pb2.ImageSettings(width=side, height=side, steps=steps, seed=seed)
    return starweave_pb2.ImageRequest(prompt="a green square", settings=settings, timeout_ms=timeout_ms)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recovery") / "model_repository"
    shutil.copytree(StackSettings().repository, folder)
    return folder


@pytest.fixture(scope="module")
def own_triton(repository: Path) -> Iterator[Triton]:
    server = Triton(repository, repository.parent, TritonPorts.free(18000, 18001, 18002))
    try:
        server.start()
        server.wait_until_ready(START_SECONDS, time.sleep)
        yield server
    finally:
        server.kill()


@pytest.fixture
async def bridge(own_triton: Triton) -> AsyncIterator[RunningBridge]:
    """One that waits for nothing."""
    async with running(own_triton.grpc_url, catalog_interval=0.5, probe_interval=1, recovery_wait=0) as bridge:
        yield bridge


@pytest.fixture
async def patient(own_triton: Triton) -> AsyncIterator[RunningBridge]:
    """One that waits for what went away, as by default but for longer: the machine may be busy."""
    async with running(own_triton.grpc_url, catalog_interval=0.5, probe_interval=1, recovery_wait=120) as bridge:
        yield bridge


def stub_of(triton: Triton, model: str) -> psutil.Process:
    """The process in which Triton runs a Python model."""
    (process,) = [
        child
        for child in psutil.Process(triton.pid).children(recursive=True)
        if "triton_python_backend_stub" in child.name() + child.cmdline()[0] and f"/{model}/" in child.cmdline()[1]
    ]
    return process


async def start_again(triton: Triton) -> None:
    """What a supervisor does when it is told NOT_SERVING; killing it first ends requests that never would."""
    await asyncio.to_thread(triton.kill)
    await asyncio.to_thread(triton.start)
    await asyncio.to_thread(triton.wait_until_ready, START_SECONDS, time.sleep)


async def version_in_use(bridge: RunningBridge) -> str:
    response = await bridge.images.GenerateImage(request())
    assert response.error == ""
    return str(response.metadata.debug_info["version"])


async def test_a_new_version_is_taken_over_without_losing_a_request(bridge: RunningBridge, repository: Path) -> None:
    staged = repository.parent / "staged"
    configs = {path: path.read_text() for path in sorted(repository.glob("demo*/config.pbtxt"))}
    ensembles = {path: config for path, config in configs.items() if 'platform: "ensemble"' in config}
    models = [path.parent for path in configs if path not in ensembles]
    for model in models:
        shutil.copytree(model / "1", staged)
        staged.rename(model / "2")
    for path, config in ensembles.items():
        config = re.sub(r"model_version: \d+", "model_version: 2", config)
        config = re.sub(r'(key: "version"\s+value {\s+string_value: )"1"', r'\1"2"', config)
        staged.write_text(config)
        staged.rename(path)

    assert await version_in_use(bridge) == "1"
    while await version_in_use(bridge) != "2":
        pass
    (family,) = (await bridge.images.GetImageModels(starweave_pb2.ModelRequest())).models
    assert family.parameters["version"] == "2"
    # One version is enough for what follows, and removing the other loses nothing either.
    for model in models:
        shutil.rmtree(model / "1")
    for _ in range(5):
        assert await version_in_use(bridge) == "2"
        await asyncio.sleep(0.5)
    assert await bridge.health("starweave.models") == "SERVING"


async def test_a_dead_model_fails_its_requests_and_comes_back(own_triton: Triton, bridge: RunningBridge) -> None:
    call = bridge.images.GenerateImageStream(request(steps=100, side=256))
    while (await call.read()).stage != Progress.DENOISING:
        pass
    stub_of(own_triton, "demo_vae_decoder").kill()
    while (message := await call.read()).stage != Progress.FINISHED:
        pass
    assert "The model demo failed while the picture was being made" in message.result.error
    assert ("starweave-error-code", "UNAVAILABLE") in tuple(await call.trailing_metadata())
    await bridge.until("starweave.models", "NOT_SERVING")
    assert await bridge.health("") == "NOT_SERVING"
    refused = await bridge.images.GenerateImage(request())
    assert "No model is ready" in refused.error

    await start_again(own_triton)
    await bridge.until("starweave.models", "SERVING")
    assert await bridge.health("") == "SERVING"
    assert (await bridge.images.GenerateImage(request())).error == ""


async def test_a_dead_upscaler_fails_what_it_is_needed_for_and_comes_back(
    own_triton: Triton, bridge: RunningBridge
) -> None:
    upscaled = request()
    upscaled.settings.upscale = 2
    while "is being loaded" in (await bridge.images.GenerateImage(upscaled)).error:
        await asyncio.sleep(0.1)
    stub_of(own_triton, "upscaler_x2").kill()
    await bridge.until("starweave.models", "NOT_SERVING")
    assert "upscaler_x2 has failed and is being started again" in (await bridge.images.GenerateImage(upscaled)).error
    assert await bridge.health("") == "SERVING"
    assert (await bridge.images.GenerateImage(request())).error == ""

    await start_again(own_triton)
    await bridge.until("starweave.models", "SERVING")
    while (await bridge.images.GenerateImage(upscaled)).error:
        await asyncio.sleep(0.1)


async def test_a_triton_that_is_gone_is_told_and_found_again(own_triton: Triton, bridge: RunningBridge) -> None:
    call = bridge.images.GenerateImageStream(request(steps=100, side=256))
    while (await call.read()).stage != Progress.DENOISING:
        pass
    await asyncio.to_thread(own_triton.kill)
    while (message := await call.read()).stage != Progress.FINISHED:
        pass
    assert message.result.error
    assert ("starweave-error-code", "UNAVAILABLE") in tuple(await call.trailing_metadata())
    await bridge.until("starweave.models", "NOT_SERVING")
    await start_again(own_triton)
    await bridge.until("starweave.models", "SERVING")
    assert (await bridge.images.GenerateImage(request())).error == ""


@pytest.mark.parametrize("killed", ["triton", "demo_unet"])
async def test_pictures_outlive_what_makes_them(own_triton: Triton, patient: RunningBridge, killed: str) -> None:
    """Those under way are made again and are the same; those that come meanwhile wait, as long as they may."""
    expected = [pixels(await patient.images.GenerateImage(request(steps=8, seed=seed))) for seed in (1, 2)]
    watched = patient.images.GenerateImageStream(request(steps=60, side=128))
    while (await watched.read()).stage != Progress.DENOISING:
        pass
    calls = [asyncio.ensure_future(patient.images.GenerateImage(request(steps=8, seed=seed))) for seed in (1, 2)]
    await asyncio.sleep(0.05)
    if killed == "triton":
        await asyncio.to_thread(own_triton.kill)
    else:
        stub_of(own_triton, killed).kill()
    await patient.until("starweave.models", "NOT_SERVING")
    hasty = patient.images.GenerateImage(request(timeout_ms=700))
    late = asyncio.ensure_future(patient.images.GenerateImage(request(steps=8, seed=2)))
    assert (await hasty).error == "No model is ready at the moment; try again in a few seconds."
    assert await codes(hasty) == ["UNAVAILABLE"]

    await start_again(own_triton)
    for response, picture in zip(await asyncio.gather(*calls, late), [*expected, expected[1]], strict=True):
        assert np.abs(pixels(response) - picture).max() <= 2
    steps = 0
    while (message := await watched.read()).stage != Progress.FINISHED:
        steps = max(steps, message.step)
    assert message.result.error == ""
    assert steps > 0, "no progress is told of the second attempt"
    assert {message.result.request_id} == {message.request_id}
