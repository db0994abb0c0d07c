"""The library behind a real bridge and a real Triton: what is answered is kept, repeated, found and deleted."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from protos import image_library_pb2, starweave_pb2
from tests.triton.bridge_in_process import RunningBridge, running
from tests.triton.family_client import FamilyClient

Progress = starweave_pb2.ImageProgress
OFF = (("starweave-library", "off"),)


@pytest.fixture
async def bridge(triton_url: str, demo: FamilyClient, tmp_path: Path) -> AsyncIterator[RunningBridge]:
    async with running(triton_url, library=tmp_path / "library") as bridge:
        yield bridge


def request(prompt: str = "a red circle", seed: int = 1, steps: int = 2, **settings: Any) -> Any:
    user = settings.pop("user_id", "ann")
    return starweave_pb2.ImageRequest(
        prompt=prompt,
        user_id=user,
        settings=starweave_pb2.ImageSettings(width=64, height=64, steps=steps, seed=seed, **settings),
    )


async def made(bridge: RunningBridge, asked: Any) -> Any:
    response = await bridge.images.GenerateImage(asked)
    assert response.error == ""
    return response


async def engine_pictures(client: FamilyClient) -> int:
    """How many pictures the engine has begun since Triton started, told by its record of steps."""
    record = await asyncio.to_thread(client.control, op="record")
    return len({each for step in record["steps"] for each in step["ids"]})


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
    assert kept.created_at == response.metadata.generated_at.__class__(
        seconds=response.metadata.generated_at.seconds,
        nanos=response.metadata.generated_at.nanos // 1_000_000 * 1_000_000,
    )
    assert kept.debug_info["denoising_ms"] == response.metadata.debug_info["denoising_ms"]
    assert "earlier words" in kept.request_json
    assert Image.open(io.BytesIO(kept.image_data)).size == (64, 64)
