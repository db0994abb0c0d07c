"""Pictures upscaled by the bridge: in tiles, without seams, and refused in band where they can't be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest
import tritonclient.grpc as triton_grpc
from click.testing import CliRunner

from protos import starweave_pb2, starweave_pb2_grpc
from standalone.client import MAX_MESSAGE_BYTES, connect, image_service
from standalone.command import main
from tests.triton.bridge_in_process import codes, pixels

SIDE = 256
OPTIONS = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]


def request(**settings: Any) -> starweave_pb2.ImageRequest:
    values = {"width": SIDE, "height": SIDE, "steps": 2, "seed": 5} | settings
    return starweave_pb2.ImageRequest(
        prompt="a red star on a blue background", settings=starweave_pb2.ImageSettings(**values)
    )


@pytest.fixture(scope="module")
def upscaling_address(bridge_address: str) -> str:
    """host:port of a bridge whose upscaler is loaded: that follows the families."""
    with connect(bridge_address) as channel:
        while "is being loaded" in image_service(channel).GenerateImage(request(steps=1, upscale=2)).error:
            time.sleep(0.1)
    return bridge_address


def untiled(repository: Path, picture: Any) -> Any:
    session = onnxruntime.InferenceSession(repository / "upscaler_x2" / "1" / "model.onnx")
    return session.run(["UPSCALED"], {"IMAGE": picture[None].astype(np.uint8)})[0][0].astype(int)


@pytest.mark.parametrize("side", [SIDE, 192])
async def test_a_picture_in_tiles_is_the_picture_in_one_piece(
    upscaling_address: str, repository: Path, triton_client: triton_grpc.InferenceServerClient, side: int
) -> None:
    async with grpc.aio.insecure_channel(upscaling_address, options=OPTIONS) as channel:
        images = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        before = executions(triton_client)
        upscaled = await images.GenerateImage(request(width=side, height=128, upscale=2))
        plain = await images.GenerateImage(request(width=side, height=128))
    assert executions(triton_client) - before >= 4
    assert pixels(upscaled).shape == (2 * 128, 2 * side, 3)
    whole = untiled(repository, pixels(plain))
    assert np.abs(pixels(upscaled) - whole).max() <= 1
    assert upscaled.metadata.debug_info["upscaler"] == "upscaler_x2 version 1"
    assert "upscaler" not in plain.metadata.debug_info


def executions(client: triton_grpc.InferenceServerClient) -> int:
    """How many tiles the upscaler has been given."""
    (model,) = client.get_inference_statistics("upscaler_x2").model_stats
    return int(model.inference_count)


async def test_variations_and_a_stream_are_upscaled_too(upscaling_address: str) -> None:
    async with grpc.aio.insecure_channel(upscaling_address, options=OPTIONS) as channel:
        images = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        varied = starweave_pb2.ImageVariationsRequest(
            base_request=request(upscale=2, width=128, height=128), num_variations=2, variation_strength=0.5
        )
        pictures = [pixels(response) async for response in images.GenerateImageVariations(varied)]
        progress = [message async for message in images.GenerateImageStream(request(upscale=2, width=200, height=100))]
    assert [picture.shape for picture in pictures] == [(256, 256, 3)] * 2
    assert not np.array_equal(*pictures)
    # The nearest size that the family makes is upscaled, and the rest is Lanczos's.
    assert pixels(progress[-1].result).shape == (200, 400, 3)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"upscale": 3}, "upscale is 3; it must be one of 1, 2."),
        (
            {"upscale": 2, "width": 2048, "height": 2048 + 1},
            "height is 2049; it must be from 16 to 2048. upscale is 2 and the picture 2048x2049, which makes "
            "4096x4098; up to 16777216 pixels are allowed, ask for a smaller size or factor.",
        ),
    ],
)
async def test_what_cannot_be_upscaled_is_told_in_band(
    upscaling_address: str, settings: dict[str, int], told: str
) -> None:
    async with grpc.aio.insecure_channel(upscaling_address) as channel:
        call = starweave_pb2_grpc.ImageGenerationServiceStub(channel).GenerateImage(request(**settings))
        assert (await call).error == told
        assert await codes(call) == ["INVALID_ARGUMENT"]


async def test_models_tell_of_upscaling(upscaling_address: str) -> None:
    async with grpc.aio.insecure_channel(upscaling_address) as channel:
        images = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        (model,) = (await images.GetImageModels(starweave_pb2.ModelRequest())).models
    assert "upscaling" in model.capabilities
    assert model.parameters["upscale"] == "1,2"


def test_generate_upscales(upscaling_address: str, tmp_path: Path) -> None:
    file = tmp_path / "moon.png"
    options = ["--steps", "1", "--size", "96x64", "--upscale", "2", "--address", upscaling_address]
    outcome = CliRunner().invoke(main, ["generate", "a moon", "-o", str(file), *options])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.startswith(f"{file}: 192x128 pixels")
