"""Pictures from pictures, through the bridge and a real Triton with the demo family."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageDraw

from protos import starweave_pb2, starweave_pb2_grpc
from standalone.command import main
from tests.triton.bridge_in_process import codes, pixels, running

PROMPT = "a red circle on a blue background"


def scene(width: int = 128, height: int = 128) -> Image.Image:
    """A yellow square on green: nothing of what the prompt asks for."""
    picture = Image.new("RGB", (width, height), (40, 160, 60))
    box = (width // 4, height // 4, width * 3 // 4, height * 3 // 4)
    ImageDraw.Draw(picture).rectangle(box, fill=(240, 220, 40))
    return picture


def right_half(width: int = 128, height: int = 128) -> Image.Image:
    """A mask."""
    mask = Image.new("L", (width, height))
    mask.paste(255, (width // 2, 0, width, height))
    return mask


def file(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    with io.BytesIO() as target:
        picture.save(target, format, **options)
        return target.getvalue()


def request(
    init_image: bytes | None = None, mask_image: bytes = b"", strength: float | None = None, **settings: Any
) -> Any:
    return starweave_pb2.ImageRequest(
        prompt=PROMPT,
        init_image=file(scene()) if init_image is None else init_image,
        mask_image=mask_image,
        strength=strength,
        settings=starweave_pb2.ImageSettings(**({"steps": 10, "seed": 5} | settings)),
    )


def distance(picture: Any, other: Any) -> float:
    """The mean difference of two pictures' pixels, 0 to 255."""
    return float(np.abs(np.asarray(picture).astype(int) - np.asarray(other).astype(int)).mean())


@pytest.fixture
async def images(bridge_address: str) -> AsyncIterator[Any]:
    """The service of the session's bridge."""
    async with grpc.aio.insecure_channel(bridge_address) as channel:
        yield starweave_pb2_grpc.ImageGenerationServiceStub(channel)


async def test_the_strength_says_how_far_the_picture_leaves_the_init_image(images: Any) -> None:
    calls = [images.GenerateImage(request(strength=strength)) for strength in (0.1, 0.5, 1.0)]
    little, half, entirely = [pixels(response) for response in await asyncio.gather(*calls)]
    assert distance(little, scene()) < 15
    assert distance(little, scene()) < distance(half, scene()) < distance(entirely, scene())


async def test_the_strength_is_diffusers_default_and_is_told(images: Any) -> None:
    default = await images.GenerateImage(request())
    told = await images.GenerateImage(request(strength=0.8))
    assert np.abs(pixels(default) - pixels(told)).max() <= 1
    assert default.metadata.debug_info["strength"] == "0.8"
    assert ", Denoising strength: 0.8" in Image.open(io.BytesIO(default.image_data)).text["parameters"]
    repainted = await images.GenerateImage(request(mask_image=file(right_half())))
    assert repainted.metadata.debug_info["strength"] == "1"


async def test_only_the_seed_changes_the_noise(images: Any) -> None:
    calls = [images.GenerateImage(request(seed=seed)) for seed in (5, 5, 6)]
    first, again, other = [pixels(response) for response in await asyncio.gather(*calls)]
    assert np.abs(first - again).max() <= 1
    assert distance(first, other) > 1


async def test_a_mask_keeps_what_is_black(images: Any) -> None:
    kept, repainted = (slice(None), slice(0, 60)), (slice(None), slice(68, 128))
    response = await images.GenerateImage(request(mask_image=file(right_half()), strength=1.0, steps=20))
    difference = np.abs(pixels(response) - np.asarray(scene()).astype(int))
    assert difference[kept].mean() < 15
    assert difference[repainted].mean() > 30


async def test_every_format_starts_the_same_picture(images: Any) -> None:
    files = (
        file(scene()),
        file(scene(), "WEBP", lossless=True),
        file(scene(), "JPEG", quality=100, subsampling=0),
        file(scene().convert("RGBA")),
    )
    pictures = [pixels(await images.GenerateImage(request(data))) for data in files]
    for picture in pictures[1:]:
        assert distance(picture, pictures[0]) < 3


async def test_the_exif_orientation_reaches_the_picture(images: Any) -> None:
    stored = scene(128, 64)
    stored.paste((0, 0, 0), (0, 0, 32, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    response = await images.GenerateImage(request(file(stored, exif=exif), strength=0.1))
    assert pixels(response).shape == (128, 64, 3)
    upright, upside_down = (
        distance(pixels(response), stored.transpose(turn))
        for turn in (Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_90)
    )
    assert upright < upside_down / 2


@pytest.mark.parametrize(
    ("init", "settings", "size", "generated"),
    [
        ((100, 70), {}, (100, 70), "96x64"),
        ((640, 320), {}, (640, 320), "256x128"),
        ((64, 64), {"width": 128, "height": 64}, (128, 64), "128x64"),
        ((256, 128), {"width": 128}, (128, 64), "128x64"),
    ],
)
async def test_the_size_is_the_init_images_unless_another_is_asked_for(
    images: Any, init: tuple[int, int], settings: dict[str, int], size: tuple[int, int], generated: str
) -> None:
    files = {"init_image": file(scene(*init)), "mask_image": file(right_half(*init))}
    for mask in ({}, {"mask_image": files["mask_image"]}):
        response = await images.GenerateImage(request(files["init_image"], **mask, steps=4, **settings))
        height, width, _ = pixels(response).shape
        assert (width, height) == size
        assert response.metadata.debug_info["generated_size"] == generated


@pytest.mark.parametrize("mask_image", [b"", file(right_half())], ids=["image-to-image", "inpainting"])
async def test_variations_of_a_picture(images: Any, mask_image: bytes) -> None:
    wish = request(mask_image=mask_image, strength=0.5)
    base = pixels(await images.GenerateImage(wish))
    call = images.GenerateImageVariations(
        starweave_pb2.ImageVariationsRequest(base_request=wish, num_variations=3, variation_strength=0.5)
    )
    variations = [pixels(response) async for response in call]
    assert len(variations) == 3
    for number, variation in enumerate(variations):
        assert distance(variation, base) > 0.5
        assert all(distance(variation, other) > 0.5 for other in variations[:number])


async def test_it_is_streamed_with_its_progress(images: Any) -> None:
    messages = [message async for message in images.GenerateImageStream(request(steps=40, strength=0.5))]
    steps = {message.steps for message in messages if message.steps}
    assert steps == {20}
    assert pixels(messages[-1].result).shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        (request(b"no picture"), "init_image is not a PNG, JPEG or WebP file."),
        (request(file(scene())[:200]), "init_image is damaged or incomplete;"),
        (request(mask_image=file(right_half())[:60]), "mask_image is damaged or incomplete;"),
        (request(mask_image=file(right_half(64, 64))), "they must be of the same size."),
        (request(b"", mask_image=file(right_half())), "mask_image is set without an init_image;"),
        (request(strength=0.0), "strength is 0; it must be above 0 and up to 1."),
        (request(strength=0.05), "at this strength, steps must be at least 20."),
        (
            request(file(Image.new("1", (10_000, 10_000)))),
            "100000000 pixels in all; it may have up to 25000000 pixels.",
        ),
    ],
    ids=["text", "truncated", "truncated mask", "mask's size", "no init image", "strength 0", "no step", "huge"],
)
async def test_a_bad_picture_is_refused_in_band_and_hurts_nobody(images: Any, wish: Any, problem: str) -> None:
    good, call = images.GenerateImage(request(steps=4)), images.GenerateImage(wish)
    assert problem in (await call).error
    assert await codes(call) == ["INVALID_ARGUMENT"]
    assert (await good).error == ""


async def test_variations_of_a_bad_picture_end_with_one_error(images: Any) -> None:
    call = images.GenerateImageVariations(
        starweave_pb2.ImageVariationsRequest(base_request=request(b"no picture"), num_variations=3)
    )
    (response,) = [response async for response in call]
    assert response.error == "init_image is not a PNG, JPEG or WebP file."
    assert await codes(call) == ["INVALID_ARGUMENT"]


async def test_the_limits_are_settings(triton_url: str) -> None:
    async with running(triton_url, max_input_pixels=128 * 127) as bridge:
        assert "it may have up to 16256 pixels." in (await bridge.images.GenerateImage(request())).error
    async with running(triton_url, max_input_bytes=100) as bridge:
        assert "bytes long; it may have up to 100 bytes." in (await bridge.images.GenerateImage(request())).error


async def test_a_busy_server_decodes_no_pictures(triton_url: str) -> None:
    async with running(triton_url, max_in_flight=1) as bridge:
        first = bridge.images.GenerateImageStream(request(file(scene(256, 256)), steps=100, strength=1.0))
        # Its place is taken once it is being made, not with the first message.
        while (await first.read()).stage != starweave_pb2.ImageProgress.DENOISING:
            pass
        call = bridge.images.GenerateImage(request(b"no picture"))
        assert "The server is busy with 1 pictures" in (await call).error
        assert await codes(call) == ["RESOURCE_EXHAUSTED"]
        first.cancel()


async def test_the_family_tells_what_it_offers(images: Any) -> None:
    (model,) = (await images.GetImageModels(starweave_pb2.ModelRequest())).models
    assert {"text-to-image", "image-variation", "image-to-image", "inpainting"} <= set(model.capabilities)


def test_the_command_sends_the_files(bridge_address: str, tmp_path: Path) -> None:
    (tmp_path / "init.jpg").write_bytes(file(scene(96, 64), "JPEG"))
    (tmp_path / "mask.png").write_bytes(file(right_half(96, 64)))
    output = tmp_path / "out.png"
    common = ("generate", PROMPT, "-o", str(output), "--address", bridge_address, "--steps", "4", "--seed", "5")
    pictures = ("--init-image", str(tmp_path / "init.jpg"), "--mask", str(tmp_path / "mask.png"), "--strength", "0.5")
    outcome = CliRunner().invoke(main, [*common, *pictures])
    assert outcome.exit_code == 0, outcome.output
    with Image.open(output) as picture:
        assert picture.size == (96, 64)
        assert ", Denoising strength: 0.5" in picture.text["parameters"]
    refused = CliRunner().invoke(main, [*common, *pictures[2:]])
    assert refused.exit_code == 1
    assert "mask_image is set without an init_image" in refused.stderr
