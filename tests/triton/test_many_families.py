"""Three families, one of them broken, and room for one, on a Triton of their own."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.triton import Triton as Door
from protos import starweave_pb2
from standalone.stack import StackSettings
from standalone.triton import Triton, TritonPorts
from tests.triton.bridge_in_process import RunningBridge, codes, running

START_SECONDS = 240.0


def request(model: str, steps: int = 2) -> Any:
    settings = starweave_pb2.ImageSettings(width=64, height=64, steps=steps)
    return starweave_pb2.ImageRequest(prompt="a green square", model=model, settings=settings)


def copy_family(repository: Path, name: str) -> None:
    for model in sorted(StackSettings().repository.glob("demo*")):
        copy = repository / model.name.replace("demo", name)
        shutil.copytree(model, copy)
        config = copy / "config.pbtxt"
        config.write_text(config.read_text().replace("demo", name).replace("Demo", name))


@pytest.fixture(scope="module")
def triton_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Triton with the families fox, owl and wolf; the wolf's UNet is broken."""
    folder = tmp_path_factory.mktemp("families")
    repository = folder / "model_repository"
    repository.mkdir()
    shutil.copytree(StackSettings().repository / "catalog", repository / "catalog")
    for name in ("fox", "owl", "wolf"):
        copy_family(repository, name)
    (repository / "wolf_unet" / "1" / "model.onnx").write_bytes(b"no graph")
    server = Triton(repository, folder / "triton", TritonPorts.free(19000, 19001, 19002))
    try:
        server.start()
        server.wait_until_ready(START_SECONDS, time.sleep)
        yield server.grpc_url
    finally:
        server.kill()


async def states(bridge: RunningBridge) -> dict[str, str]:
    listed = (await bridge.images.GetImageModels(starweave_pb2.ModelRequest())).models
    return {model.id: model.parameters["status"] for model in listed}


@pytest.mark.timeout(900)
async def test_families_share_the_room_for_one(triton_url: str) -> None:
    door = Door(triton_url)
    async with running(triton_url, max_resident=1) as bridge:
        assert await states(bridge) == {"fox": "loaded", "owl": "available", "wolf": "available"}
        call = bridge.images.GenerateImage(request("wolf"))
        assert "The model wolf could not be loaded" in (await call).error
        assert await codes(call) == ["UNAVAILABLE"]

        listed = (await bridge.images.GetImageModels(starweave_pb2.ModelRequest())).models
        wolf = next(model for model in listed if model.id == "wolf")
        assert wolf.parameters["status"] == "failed"
        assert "wolf_unet" in wolf.parameters["problem"] and "Protobuf" in wolf.parameters["problem"]

        # Whoever comes first, the pictures of the other are finished before it goes.
        answers = await asyncio.gather(*(bridge.images.GenerateImage(request(name, 20)) for name in ("fox", "owl") * 4))
        assert [(answer.error, answer.metadata.model) for answer in answers] == [("", "fox"), ("", "owl")] * 4
        (loaded,) = [name for name, state in (await states(bridge)).items() if state == "loaded"]
        ready = (await door.holdings(10)).ready
        assert {name for name in ready if name != "catalog"} == {name for name in ready if name.startswith(loaded)}

        other = "fox" if loaded == "owl" else "owl"
        assert (await bridge.images.GenerateImage(request(other))).metadata.model == other
        # What is asked for by no name is made by what is there.
        assert (await bridge.images.GenerateImage(request(""))).metadata.model == other
    await door.close()
