"""Tables that start from a picture, against StableDiffusionImg2ImgPipeline and StableDiffusionInpaintPipeline."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from diffusion_engine.noise import NoiseStream
from diffusion_engine.samplers import SAMPLERS

from tests.diffusion.diffusers_oracle import (
    CONFIGS,
    DEMO,
    SHAPE,
    TOLERANCE,
    Picture,
    by_diffusers,
    by_table,
    defined,
    relative_error,
    table_of,
)

LATENTS = NoiseStream(99).normal(SHAPE)
MASK = np.zeros((1, 1, *SHAPE[2:]), np.float32)
MASK[..., 3:, 2:6] = 1
PREDICTION_TYPES = {"demo": "epsilon", "sd21": "v_prediction", "zero_snr": "v_prediction", "unusual": "epsilon"}
CASES = [
    (name, sampler, strength)
    for name, sampler, strength in itertools.product(PREDICTION_TYPES, SAMPLERS, (0.3, 0.8, 1.0))
    if defined(CONFIGS[name], sampler, PREDICTION_TYPES[name])
]


@pytest.mark.parametrize(("name", "sampler", "strength"), CASES)
@pytest.mark.parametrize("steps", [4, 20])
@pytest.mark.parametrize("mask", [None, MASK], ids=["image_to_image", "inpainting"])
def test_equals_the_pipeline(name: str, sampler: str, strength: float, steps: int, mask: np.ndarray | None) -> None:
    config = CONFIGS[name] | {"prediction_type": PREDICTION_TYPES[name]}
    picture = Picture(LATENTS, mask)
    expected = by_diffusers(config, sampler, steps, strength, picture, dtype=torch.float64)
    table = table_of(config, sampler, steps, strength)
    # Inpainting at full strength begins with noise alone, image-to-image does not.
    pure_noise = mask is not None and strength == 1
    run = by_table(table, picture=picture, pure_noise=pure_noise, dtype=np.float64)
    np.testing.assert_array_equal(run.timesteps, expected.timesteps)
    np.testing.assert_allclose(run.next_noise, expected.next_noise, atol=1.2e-6)
    assert relative_error(run, expected) <= TOLERANCE


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equals_the_pipelines_in_float32(sampler: str) -> None:
    for mask in (None, MASK):
        picture = Picture(LATENTS, mask)
        run = by_table(table_of(DEMO, sampler, 20, 0.8), picture=picture, pure_noise=False)
        assert relative_error(run, by_diffusers(DEMO, sampler, 20, 0.8, picture)) <= TOLERANCE


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_another_strength_picture_or_mask_is_far_off(sampler: str) -> None:
    picture = Picture(LATENTS, MASK)
    expected = by_diffusers(DEMO, sampler, 20, 0.8, picture)
    table = table_of(DEMO, sampler, 20, 0.8)
    others = (
        by_table(table_of(DEMO, sampler, 20, 0.75), picture=picture, pure_noise=False),
        by_table(table, picture=Picture(LATENTS, 1 - MASK), pure_noise=False),
        by_table(table, picture=Picture(-LATENTS, MASK), pure_noise=False),
        by_table(table, picture=picture, pure_noise=True),
    )
    for other in others:
        assert relative_error(other, expected) > 100 * TOLERANCE


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_full_strength_is_the_whole_table(sampler: str) -> None:
    whole, full = table_of(DEMO, sampler, 20), table_of(DEMO, sampler, 20, 1.0)
    np.testing.assert_array_equal(whole.timesteps, full.timesteps)
    np.testing.assert_array_equal(whole.B, full.B)


@pytest.mark.parametrize("steps", [1, 3, 10, 20, 50])
def test_takes_as_many_steps_as_the_pipelines(steps: int) -> None:
    # 50*0.58 is just below 29 in floating point.
    for strength in (0.58, 0.7, 0.29, 0.999):
        if int(steps * strength):
            assert table_of(DEMO, "ddim", steps, strength).evaluations == int(steps * strength)
