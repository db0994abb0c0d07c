"""Requests are checked against the family, completed with its defaults and turned into tensors."""

import math

import numpy as np
import pytest

from bridge.errors import InvalidRequest
from bridge.generation import SEEDS, Variation, time_limit, validate, validate_variation_strength
from bridge.sizes import Size
from protos import starweave_pb2
from tests.bridge.families import family

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


def test_tensors_have_the_types_of_the_ensemble() -> None:
    generation = validate(request(), family()).varied(1, 0.5)
    types = {name: array.dtype for name, array in generation.inputs().items()}
    assert types["SEED"] == types["VARIATION_SEED"] == np.int64
    assert types["WIDTH"] == types["HEIGHT"] == types["STEPS"] == types["PRIORITY"] == np.int32
    assert types["GUIDANCE_SCALE"] == types["GUIDANCE_INTERVAL"] == types["VARIATION_STRENGTH"] == np.float32


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
        ({"style": "oil"}, "style is 'oil'; no styles are known, leave it empty."),
        ({"quality": "high"}, "quality is 'high'; no qualities are known, leave it empty."),
        ({"upscale": 2}, "upscale is 2; pictures are not upscaled"),
        ({"upscale": -1}, "upscale is -1; pictures are not upscaled"),
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


@pytest.mark.parametrize("field", [{"init_image": b"x"}, {"mask_image": b"x"}, {"strength": 0.5}, {"strength": 0.0}])
def test_pictures_to_start_from_are_refused(field: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(field))):
        validate(starweave_pb2.ImageRequest(prompt="a fox", **field), family())


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(request("", steps=0, style="oil"), family())
    assert all(word in str(caught.value) for word in ("prompt is empty", "steps is 0", "style is 'oil'"))


def test_exact_sizes_are_not_fitted() -> None:
    with pytest.raises(InvalidRequest, match=r"width is 100; it must be a multiple of 32 from 64 to 256\."):
        validate(request(width=100, height=64), family(size_policy="exact"))


def test_variations_count_on_from_the_seed() -> None:
    generation = validate(request(seed=SEEDS - 1), family())
    assert generation.varied(1, 0.25).variation == Variation(0, 0.25)
    assert generation.varied(2, 0.25).seed == SEEDS - 1


@pytest.mark.parametrize("strength", [-0.5, 1.5, math.nan])
def test_a_variation_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(InvalidRequest, match=r"variation_strength is .*; it must be from 0 to 1\."):
        validate_variation_strength(strength)


def test_the_time_limit_is_in_seconds() -> None:
    assert time_limit(starweave_pb2.ImageRequest(timeout_ms=1500)) == 1.5
    assert time_limit(starweave_pb2.ImageRequest()) == math.inf
    with pytest.raises(InvalidRequest, match="timeout_ms is -1"):
        time_limit(starweave_pb2.ImageRequest(timeout_ms=-1))
