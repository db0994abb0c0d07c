"""Requests are checked against the family and completed with its defaults."""

import json
import math

import pytest

from bridge.errors import InvalidRequest
from bridge.families import Capability
from bridge.generation import SEEDS
from bridge.sizes import Size, SizePolicy, SizeRange
from bridge.validation import (
    UpscaleLimits,
    check_finished_size,
    size_from,
    time_limit,
    validate,
    validate_variation_strength,
)
from protos import starweave_pb2
from tests.bridge.families import PAINTER, family

Settings = starweave_pb2.ImageSettings


def request(prompt: str = "a fox", **settings: object) -> starweave_pb2.ImageRequest:
    return starweave_pb2.ImageRequest(prompt=prompt, settings=Settings(**settings))


def test_absent_values_are_the_familys_defaults() -> None:
    generation = validate(starweave_pb2.ImageRequest(prompt="a fox"), family())
    assert generation.size == generation.generated_size == Size(128, 96)
    assert (generation.steps, generation.guidance_scale, generation.sampler) == (20, 5.5, "ddim")
    assert generation.guidance_interval == (0.0, 1.0)
    assert (generation.priority, generation.output_format, generation.variation) == (2, "png", None)


def test_starweaves_defaults_are_valid_for_a_small_family() -> None:
    generation = validate(request(width=512, height=512, steps=20, guidance_scale=7.5, seed=1, style=""), family())
    assert (generation.size, generation.generated_size) == (Size(512, 512), Size(256, 256))


def test_present_values_are_taken() -> None:
    generation = validate(
        request(
            width=64,
            height=256,
            steps=7,
            guidance_scale=0.0,
            seed=0,
            negative_prompt="a wolf",
            sampler="euler",
            output_format="webp",
            priority=1,
            guidance_from=0.25,
            guidance_until=0.75,
            upscale=1,
        ),
        family(),
    )
    tensors = {name: array.tolist() for name, array in generation.inputs().items()}
    assert tensors == {
        "PROMPT": [[b"a fox"]],
        "NEGATIVE_PROMPT": [[b"a wolf"]],
        "SEED": [[0]],
        "WIDTH": [[64]],
        "HEIGHT": [[256]],
        "STEPS": [[7]],
        "GUIDANCE_SCALE": [[0.0]],
        "GUIDANCE_INTERVAL": [[0.25, 0.75]],
        "SAMPLER": [[b"euler"]],
        "PRIORITY": [[1]],
    }


@pytest.mark.parametrize("settings", [{}, {"seed": -1}])
def test_an_absent_seed_is_random(settings: dict[str, int]) -> None:
    seeds = {validate(request(**settings), family()).seed for _ in range(20)}
    assert len(seeds) > 1
    assert all(0 <= seed < SEEDS for seed in seeds)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"width": 15}, "width is 15; it must be from 16 to 2048."),
        ({"width": 0}, "width is 0; it must be from 16 to 2048."),
        ({"height": 5000}, "height is 5000; it must be from 16 to 2048."),
        ({"steps": 0}, "steps is 0; it must be from 1 to 100."),
        ({"steps": 101}, "steps is 101; it must be from 1 to 100."),
        ({"guidance_scale": -1}, "guidance_scale is -1; it must be from 0 to 30."),
        ({"guidance_scale": 30.5}, "guidance_scale is 30.5; it must be from 0 to 30."),
        ({"guidance_scale": math.nan}, "guidance_scale is nan; it must be from 0 to 30."),
        ({"guidance_scale": math.inf}, "guidance_scale is inf; it must be from 0 to 30."),
        ({"seed": -2}, "seed is -2; it must be from 0 to 2147483647, or -1 for a random one."),
        ({"sampler": "dpm"}, "sampler is 'dpm'; it must be one of ddim, euler."),
        ({"output_format": "gif"}, "output_format is 'gif'; it must be one of png, jpeg, webp."),
        ({"priority": 4}, "priority is 4; it must be from 1 to 3."),
        ({"priority": -1}, "priority is -1; it must be from 1 to 3."),
        ({"guidance_from": 1.5}, "guidance_from is 1.5; it must be from 0 to 1."),
        ({"guidance_until": math.nan}, "guidance_until is nan; it must be from 0 to 1."),
        ({"guidance_from": 0.75, "guidance_until": 0.5}, "guidance_from is 0.75 and guidance_until is 0.5;"),
        ({"upscale": 2}, "upscale is 2; no upscaler is deployed here, leave it out or 1."),
        ({"upscale": -1}, "upscale is -1; no upscaler is deployed here"),
        ({"negative_prompt": "a" * 41}, "negative_prompt is 41 characters long; it may have up to 40."),
        ({"negative_prompt": "a\x07"}, "negative_prompt holds the control character U+0007"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(request(**settings), family())
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ("", "prompt is empty"),
        (" \n\t", "prompt is empty"),
        ("a" * 41, "prompt is 41 characters long; it may have up to 40."),
        ("a\x00fox", "prompt holds the control character U+0000"),
        ("a\x9bfox", "prompt holds the control character U+009B"),
    ],
)
def test_a_bad_prompt_is_refused(prompt: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(request(prompt), family())
    assert problem in str(caught.value)


@pytest.mark.parametrize("prompt", ["a" * 40, "two\nlines\tand a tab", "狐 🦊 é"])
def test_a_good_prompt_is_taken(prompt: str) -> None:
    assert validate(request(prompt), family()).prompt == prompt


@pytest.mark.parametrize(
    ("pictures", "capability", "strength"),
    [
        ({}, Capability.TEXT_TO_IMAGE, None),
        ({"init_image": b"x"}, Capability.IMAGE_TO_IMAGE, 0.8),
        ({"init_image": b"x", "mask_image": b"x"}, Capability.INPAINTING, 1.0),
        ({"init_image": b"x", "strength": 0.3}, Capability.IMAGE_TO_IMAGE, 0.3),
        ({"init_image": b"x", "mask_image": b"x", "strength": 1.0}, Capability.INPAINTING, 1.0),
    ],
)
def test_the_pictures_of_a_request_say_what_is_made(
    pictures: dict[str, object], capability: Capability, strength: float | None
) -> None:
    """The strengths are diffusers' defaults."""
    generation = validate(starweave_pb2.ImageRequest(prompt="a fox", **pictures), family(ensembles=PAINTER))
    assert (generation.capability, generation.strength) == (capability, strength)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"mask_image": b"x"}, "mask_image is set without an init_image;"),
        ({"strength": 0.5}, "strength is set without an init_image;"),
        ({"strength": 0.0}, "strength is set without an init_image;"),
        ({"init_image": b"x", "strength": 0.0}, "strength is 0; it must be above 0 and up to 1."),
        ({"init_image": b"x", "strength": -0.5}, "strength is -0.5; it must be above 0 and up to 1."),
        ({"init_image": b"x", "strength": 1.01}, "strength is 1.01; it must be above 0 and up to 1."),
        ({"init_image": b"x", "strength": math.nan}, "strength is nan; it must be above 0 and up to 1."),
        ({"init_image": b"x", "mask_image": b"x", "strength": 2}, "strength is 2; it must be above 0 and up to 1."),
        (
            {"init_image": b"x", "strength": 0.04},
            "steps is 20 and strength is 0.04, which leaves no step to take; at this strength, steps must be at least "
            "25.",
        ),
    ],
)
def test_what_makes_no_sense_with_pictures_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(starweave_pb2.ImageRequest(prompt="a fox", **fields), family(ensembles=PAINTER))
    assert problem in str(caught.value)


@pytest.mark.parametrize(("steps", "strength"), [(10, 0.1), (100, 0.01), (1, 1.0), (3, 0.34), (25, 0.04)])
def test_one_step_is_enough(steps: int, strength: float) -> None:
    wish = starweave_pb2.ImageRequest(
        prompt="a fox", init_image=b"x", strength=strength, settings=Settings(steps=steps)
    )
    assert validate(wish, family(ensembles=PAINTER)).strength == strength


@pytest.mark.parametrize(
    ("offered", "fields", "problem"),
    [
        (
            ["text-to-image"],
            {"init_image": b"x"},
            "The model fox offers text-to-image and does not offer image-to-image, which a request with an init_image "
            "and no mask_image asks for.",
        ),
        (
            ["text-to-image", "image-to-image"],
            {"init_image": b"x", "mask_image": b"x"},
            "The model fox offers text-to-image, image-to-image and does not offer inpainting,",
        ),
        (
            ["inpainting"],
            {},
            "The model fox offers inpainting and does not offer text-to-image, which a request without an init_image "
            "asks for.",
        ),
    ],
)
def test_a_family_refuses_what_it_does_not_offer(offered: list[str], fields: dict[str, object], problem: str) -> None:
    limited = family(
        ensembles={capability: PAINTER[capability] for capability in offered}, capabilities=json.dumps(offered)
    )
    with pytest.raises(InvalidRequest) as caught:
        validate(starweave_pb2.ImageRequest(prompt="a fox", **fields), limited)
    assert str(caught.value).startswith(problem)


FIT = SizeRange(64, 256, 32, SizePolicy.FIT)
EXACT = SizeRange(64, 256, 32, SizePolicy.EXACT)


@pytest.mark.parametrize(
    ("sizes", "init", "settings", "expected"),
    [
        (FIT, Size(300, 200), {}, Size(300, 200)),
        (FIT, Size(4000, 3000), {}, Size(2048, 1536)),
        (FIT, Size(8, 4), {}, Size(32, 16)),
        (FIT, Size(1, 5000), {}, Size(16, 2048)),
        (EXACT, Size(300, 200), {}, Size(256, 160)),
        (FIT, Size(300, 200), {"width": 150}, Size(150, 100)),
        (FIT, Size(300, 200), {"height": 400}, Size(600, 400)),
        (FIT, Size(5000, 1), {"width": 100}, Size(100, 16)),
        (EXACT, Size(400, 200), {"width": 256}, Size(256, 128)),
        (FIT, Size(300, 200), {"width": 64, "height": 500}, Size(64, 500)),
    ],
)
def test_an_absent_size_is_the_init_images(
    sizes: SizeRange, init: Size, settings: dict[str, int], expected: Size
) -> None:
    assert size_from(init, Settings(**settings), sizes) == expected


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(request("", steps=0, output_format="gif"), family())
    assert all(word in str(caught.value) for word in ("prompt is empty", "steps is 0", "output_format is 'gif'"))


def test_exact_sizes_are_not_fitted() -> None:
    with pytest.raises(InvalidRequest, match=r"width is 100; it must be a multiple of 32 from 64 to 256\."):
        validate(request(width=100, height=64), family(size_policy="exact"))


@pytest.mark.parametrize("strength", [-0.5, 1.5, math.nan])
def test_a_variation_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(InvalidRequest, match=r"variation_strength is .*; it must be from 0 to 1\."):
        validate_variation_strength(strength)


def test_the_time_limit_is_in_seconds() -> None:
    assert time_limit(starweave_pb2.ImageRequest(timeout_ms=1500)) == 1.5
    assert time_limit(starweave_pb2.ImageRequest()) == math.inf
    with pytest.raises(InvalidRequest, match="timeout_ms is -1"):
        time_limit(starweave_pb2.ImageRequest(timeout_ms=-1))


UPSCALES = UpscaleLimits((2, 4), max_pixels=300 * 200)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"upscale": 3}, "upscale is 3; it must be one of 1, 2, 4."),
        ({"upscale": -2}, "upscale is -2; it must be one of 1, 2, 4."),
        (
            {"upscale": 4, "width": 128, "height": 96},
            "upscale is 4 and the picture 128x96, which makes 512x384; up to 60000 pixels are allowed, "
            "ask for a smaller size or factor.",
        ),
    ],
)
def test_an_upscaling_that_cannot_be_done_is_told_with_what_can(changes: dict[str, int], told: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(request(**changes), family(), UPSCALES)
    assert str(caught.value) == told


@pytest.mark.parametrize(("upscale", "finished"), [(0, "150x100"), (1, "150x100"), (2, "300x200")])
def test_a_finished_picture_is_as_many_times_larger_as_asked_for(upscale: int, finished: str) -> None:
    generation = validate(request(upscale=upscale, width=150, height=100), family(), UPSCALES)
    assert str(generation.size) == "150x100"
    assert str(generation.finished_size) == finished


def test_a_size_that_follows_from_an_init_image_is_checked_again() -> None:
    generation = validate(request(upscale=2, width=150, height=100), family(), UPSCALES)
    check_finished_size(generation, UPSCALES)
    with pytest.raises(InvalidRequest, match="which makes 304x202"):
        check_finished_size(generation.resized(Size(152, 101)), UPSCALES)
