"""Previews of pictures under way, through the bridge and a real Triton with the demo family."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bridge.triton import Triton
from protos import starweave_pb2
from standalone.command import main
from tests.triton.bridge_in_process import RunningBridge, pixels, running
from tests.triton.family_client import FamilyClient

Progress = starweave_pb2.ImageProgress
PROMPT = "a red circle on a blue background"


def request(previews: bool, width: int = 192, height: int = 128, steps: int = 60, seed: int = 5) -> Any:
    settings = starweave_pb2.ImageSettings(width=width, height=height, steps=steps, seed=seed)
    return starweave_pb2.ImageRequest(prompt=PROMPT, settings=settings, previews=previews)


async def messages(images: Any, wish: Any) -> list[Any]:
    return [message async for message in images.GenerateImageStream(wish)]


def shown(stream: list[Any]) -> list[Image.Image]:
    """The previews of a stream, decoded."""
    return [Image.open(io.BytesIO(message.preview)) for message in stream if message.preview]


@pytest.fixture
async def bridge(triton_url: str, demo: FamilyClient, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningBridge]:
    """A bridge that makes and tells of previews as often as it can: how many there are is not up to the machine."""
    monkeypatch.setattr("bridge.previews._INTERVAL", 0.01)
    monkeypatch.setattr("bridge.previews._SHARE", 1.0)
    async with running(triton_url, progress_interval=0.01) as bridge:
        yield bridge


async def test_previews_come_closer_to_the_picture(bridge: RunningBridge) -> None:
    stream = await messages(bridge.images, request(previews=True, steps=100))
    assert {message.stage for message in stream if message.preview} == {Progress.DENOISING}
    previews = shown(stream)
    assert len(previews) >= 2
    assert {(preview.format, preview.size) for preview in previews} == {("JPEG", (192, 128))}
    final = pixels(stream[-1].result)
    distances = [float(np.abs(np.asarray(preview).astype(int) - final).mean()) for preview in previews]
    assert distances[-1] == min(distances) < distances[0]


async def test_previews_change_neither_the_picture_nor_its_progress(bridge: RunningBridge) -> None:
    plain = await messages(bridge.images, request(previews=False))
    assert shown(plain) == []
    watched = await messages(bridge.images, request(previews=True))
    assert shown(watched)
    assert np.abs(pixels(plain[-1].result) - pixels(watched[-1].result)).max() <= 1
    for stream in (plain, watched):
        steps = [message.step for message in stream if message.stage == Progress.DENOISING]
        assert steps == sorted(steps)


async def test_a_preview_has_the_size_that_the_model_makes(bridge: RunningBridge) -> None:
    stream = await messages(bridge.images, request(previews=True, width=400, height=300))
    assert pixels(stream[-1].result).shape == (300, 400, 3)
    generated = stream[-1].result.metadata.debug_info["generated_size"]
    assert {f"{preview.width}x{preview.height}" for preview in shown(stream)} == {generated} != {"400x300"}


async def test_one_preview_is_decoded_at_a_time(bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, counts = 0, []
    infer = Triton.infer

    async def counting(triton: Triton, model: str, inputs: Mapping[str, Any], *more: Any, **options: Any) -> Any:
        nonlocal under_way
        # The health probes' latents are of another size.
        if model != "demo_vae_decoder" or inputs["LATENTS"].shape[2:] == (8, 8):
            return await infer(triton, model, inputs, *more, **options)
        under_way += 1
        counts.append(under_way)
        try:
            return await infer(triton, model, inputs, *more, **options)
        finally:
            under_way -= 1

    monkeypatch.setattr(Triton, "infer", counting)
    wishes = [request(previews=True, seed=seed) for seed in range(3)]
    streams = await asyncio.gather(*(messages(bridge.images, wish) for wish in wishes))
    assert {pixels(stream[-1].result).shape for stream in streams} == {(128, 192, 3)}
    assert sum(len(shown(stream)) for stream in streams) >= 2
    assert set(counts) == {1}


async def test_a_preview_that_fails_leaves_the_picture_alone(
    bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(pixels: Any) -> bytes:
        raise OSError("no room")

    monkeypatch.setattr("bridge.codec.encode_preview", fail)
    stream = await messages(bridge.images, request(previews=True))
    assert shown(stream) == []
    assert pixels(stream[-1].result).shape == (128, 192, 3)
    warnings = [record for record in caplog.records if record.name == "bridge.previews"]
    assert [record.levelno for record in warnings] == [logging.WARNING]


async def test_the_command_shows_the_picture_meanwhile(bridge: RunningBridge, tmp_path: Path) -> None:
    output, preview = tmp_path / "out.png", tmp_path / "preview.jpg"
    common = ("generate", PROMPT, "-o", str(output), "--address", bridge.address, "--steps", "60", "--size", "192x128")
    outcome = await asyncio.to_thread(CliRunner().invoke, main, [*common, "--preview", str(preview)])
    assert outcome.exit_code == 0, outcome.output
    with Image.open(preview) as shown_last:
        assert (shown_last.format, shown_last.size) == ("JPEG", (192, 128))
    assert {file.name for file in tmp_path.iterdir()} == {"out.png", "preview.jpg"}
    refused = await asyncio.to_thread(
        CliRunner().invoke, main, [*common, "--preview", str(tmp_path / "nowhere" / "preview.jpg")]
    )
    assert refused.exit_code == 1
    assert "cannot be written: No such file or directory." in refused.stderr
