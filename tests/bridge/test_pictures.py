"""Pictures are encoded at the wanted size, and a PNG tells how it was made."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bridge.generation import Generation
from bridge.pictures import encode, encode_preview
from bridge.validation import validate
from protos import starweave_pb2
from tests.bridge.families import PAINTER, family

PIXELS = np.random.default_rng(1).integers(0, 256, (96, 128, 3), np.uint8)


def generation(prompt: str = "a fox", **settings: object) -> Generation:
    request = starweave_pb2.ImageRequest(prompt=prompt, settings=starweave_pb2.ImageSettings(**settings))
    return validate(request, family())


def test_a_png_holds_the_very_pixels() -> None:
    picture = Image.open(io.BytesIO(encode(PIXELS, generation())))
    assert picture.format == "PNG"
    assert np.array_equal(np.asarray(picture), PIXELS)


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_lossy_formats_keep_a_smooth_picture(name: str) -> None:
    ramp = np.linspace(0, 255, 128).astype(np.uint8)
    smooth = np.broadcast_to(ramp[None, :, None], (96, 128, 3)).copy()
    picture = Image.open(io.BytesIO(encode(smooth, generation(output_format=name))))
    assert picture.format == name.upper()
    error = np.abs(np.asarray(picture).astype(int) - smooth)
    assert error.shape == smooth.shape
    assert error.mean() < 2


def test_a_preview_is_a_jpeg_of_its_own_size() -> None:
    smooth = np.broadcast_to(np.linspace(0, 255, 128).astype(np.uint8)[None, :, None], (96, 128, 3)).copy()
    picture = Image.open(io.BytesIO(encode_preview(smooth)))
    assert (picture.format, picture.size) == ("JPEG", (128, 96))
    assert np.abs(np.asarray(picture).astype(int) - smooth).mean() < 3


def test_a_picture_of_another_size_is_resized_with_lanczos() -> None:
    picture = Image.open(io.BytesIO(encode(PIXELS, generation(width=200, height=300))))
    expected = Image.fromarray(PIXELS).resize((200, 300), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(picture), np.asarray(expected))


def test_an_upscaled_picture_is_larger_than_its_size_and_says_so() -> None:
    made = replace(generation(width=200, height=300), upscale=2)
    picture = Image.open(io.BytesIO(encode(PIXELS, made)))
    assert picture.size == (400, 600)
    assert picture.text["parameters"].endswith("Size: 200x300, Model: fox, Version: 3, Postprocess upscale by: 2")


def test_the_parameters_chunk_reads_as_in_the_web_ui() -> None:
    made = generation(
        "a fox\nin snow", negative_prompt="wolf", seed=7, steps=5, guidance_scale=7.5, width=64, height=64
    )
    picture = Image.open(io.BytesIO(encode(PIXELS, made.varied(2, 0.25))))
    assert picture.text["parameters"] == (
        "a fox\nin snow\nNegative prompt: wolf\nSteps: 5, Sampler: ddim, CFG scale: 7.5, Seed: 7, Size: 64x64, "
        "Model: fox, Version: 3, Variation seed: 9, Variation seed strength: 0.25"
    )


def test_the_parameters_chunk_tells_the_strength() -> None:
    request = starweave_pb2.ImageRequest(prompt="a fox", init_image=b"x", strength=0.35)
    picture = Image.open(io.BytesIO(encode(PIXELS, validate(request, family(ensembles=PAINTER)))))
    assert picture.text["parameters"].endswith(", Denoising strength: 0.35")


def test_the_parameters_chunk_holds_any_language() -> None:
    picture = Image.open(io.BytesIO(encode(PIXELS, generation("狐 🦊"))))
    assert picture.text["parameters"].startswith("狐 🦊\nSteps: 20, ")
