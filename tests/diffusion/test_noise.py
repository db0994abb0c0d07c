"""The noise stream against torch's CPU generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusion_engine.errors import InvalidRequest
from diffusion_engine.noise import NoiseStream, slerp

# Sizes of one block, of whole blocks and of neither; the last two are latents of 512x512 and of an odd size.
SHAPES = [(16,), (17,), (31,), (4, 5, 7), (1, 1000), (1, 4, 64, 64), (1, 4, 13, 9)]


def torch_generator(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 42, 123456789, 2**31, 2**32 - 1])
def test_equals_torch(seed: int, shape: tuple[int, ...]) -> None:
    noise = NoiseStream(seed).normal(shape)
    assert noise.dtype == np.float32
    assert noise.shape == shape
    np.testing.assert_allclose(noise, torch.randn(shape, generator=torch_generator(seed)).numpy(), rtol=0, atol=1.2e-6)


@pytest.mark.parametrize("shapes", [SHAPES, SHAPES[::-1], [(17,)] * 300])
def test_successive_draws_equal_torch(shapes: list[tuple[int, ...]]) -> None:
    stream, generator = NoiseStream(7), torch_generator(7)
    for shape in shapes:
        expected = torch.randn(shape, generator=generator).numpy()
        np.testing.assert_allclose(stream.normal(shape), expected, rtol=0, atol=1.2e-6)


def test_seeds_and_draws_differ() -> None:
    stream = NoiseStream(1)
    first, second = stream.normal((4, 64, 64)), stream.normal((4, 64, 64))
    for other in (second, NoiseStream(2).normal((4, 64, 64))):
        assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_refuses_seeds_out_of_range(seed: int) -> None:
    with pytest.raises(InvalidRequest, match=f"between 0 and 4294967295, got {seed}"):
        NoiseStream(seed)


def test_refuses_less_than_a_block() -> None:
    with pytest.raises(InvalidRequest, match="fewer than 16"):
        NoiseStream(1).normal((15,))


def test_slerp_ends_are_exact() -> None:
    a, b = NoiseStream(1).normal((4, 8, 8)), NoiseStream(2).normal((4, 8, 8))
    np.testing.assert_array_equal(slerp(a, b, 0.0), a)
    np.testing.assert_array_equal(slerp(a, b, 1.0), b)


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_slerp_moves_along_the_arc(weight: float) -> None:
    a, b = NoiseStream(1).normal((4, 64, 64)), NoiseStream(2).normal((4, 64, 64))

    def angle(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.arccos(np.vdot(x, y) / np.linalg.norm(x) / np.linalg.norm(y)))

    mixed = slerp(a, b, weight)
    assert mixed.dtype == np.float32
    assert mixed.std() == pytest.approx(1, abs=0.02)
    assert angle(a, mixed) == pytest.approx(weight * angle(a, b), rel=0.02)
    assert angle(mixed, b) == pytest.approx((1 - weight) * angle(a, b), rel=0.02)


def test_slerp_of_parallel_tensors_is_finite() -> None:
    a = NoiseStream(1).normal((4, 8, 8))
    np.testing.assert_allclose(slerp(a, a, 0.3), a, rtol=1e-6)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_slerp_refuses_weights_out_of_range(weight: float) -> None:
    a = NoiseStream(1).normal((4, 8, 8))
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        slerp(a, a, weight)
