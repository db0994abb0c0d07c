"""Gaussian noise equal to torch's CPU generator, without torch."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from diffusion_engine.errors import InvalidRequest

_BLOCK: Final = 16
_MAX_SEED: Final = 2**32 - 1
# Above this cosine the two tensors are nearly parallel and the division by the sine of their angle loses its digits.
_PARALLEL: Final = 0.9995


class NoiseStream:
    """The successive normal draws of one seed; a picture's noise depends on nothing else.

    Equal within 1.2e-6 to successive calls of `torch.randn(shape, generator=g)` with
    `g = torch.Generator("cpu").manual_seed(seed)` (`normal_fill` in ATen/native/cpu/DistributionTemplates.h).
    """

    __slots__ = ("_random",)

    def __init__(self, seed: int) -> None:
        """Start the stream of `seed`, 0..2^32-1; raises `InvalidRequest` outside of that."""
        if not 0 <= seed <= _MAX_SEED:
            raise InvalidRequest(f"the seed must be between 0 and {_MAX_SEED}, got {seed}")
        self._random = np.random.RandomState(seed)

    def normal(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """The next draw: standard normal values of `shape`, at least 16 of them.

        Raises `InvalidRequest` for fewer than 16 values: torch draws those by another algorithm, and no latents are
        that small.
        """
        size = math.prod(shape)
        if size < _BLOCK:
            raise InvalidRequest(f"noise of shape {shape} has fewer than {_BLOCK} values")
        whole = size - size % _BLOCK
        # torch consumes one number for each value, the ones of an incomplete block included, and then draws the last
        # 16 values anew.
        uniform = self._uniform(size)
        noise = np.empty(size, np.float32)
        noise[:whole] = _box_muller(uniform[:whole])
        if whole < size:
            noise[-_BLOCK:] = _box_muller(self._uniform(_BLOCK))
        return noise.reshape(shape)

    def _uniform(self, size: int) -> npt.NDArray[np.float32]:
        """Uniform values in [0, 1) with 24 bits, one Mersenne Twister output each."""
        # A bound of a power of two makes RandomState mask the low 24 bits, as torch does, and reject nothing.
        bits = self._random.randint(0, 1 << 24, size=size, dtype=np.uint32)
        return bits.astype(np.float32) * np.float32(2**-24)


def _box_muller(uniform: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Normal values from uniform ones, in blocks of 16 whose halves are the radii and the angles."""
    blocks = uniform.reshape(-1, 2, _BLOCK // 2)
    radius = np.sqrt(np.float32(-2) * np.log(np.float32(1) - blocks[:, 0]))
    theta = np.float32(2 * np.pi) * blocks[:, 1]
    normal = np.empty_like(blocks)
    np.multiply(radius, np.cos(theta), out=normal[:, 0])
    np.multiply(radius, np.sin(theta), out=normal[:, 1])
    return normal.reshape(-1)


def slerp(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], weight: float) -> npt.NDArray[np.float32]:
    """Spherical interpolation between two noise tensors of one shape, taken as vectors; 0 gives `a`, 1 gives `b`.

    Keeps the norm of Gaussian noise, which a linear mix would shrink (Shoemake 1985). Nearly parallel tensors are
    mixed linearly. Raises `InvalidRequest` for a weight outside 0..1.
    """
    if not 0 <= weight <= 1:
        raise InvalidRequest(f"the variation strength must be between 0 and 1, got {weight}")
    if weight in (0, 1):
        return (b if weight else a).copy()
    x, y = a.astype(np.float64), b.astype(np.float64)
    cosine = np.vdot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y))
    if abs(cosine) > _PARALLEL:
        return ((1 - weight) * x + weight * y).astype(np.float32)
    omega = np.arccos(cosine)
    mixed: npt.NDArray[np.float64] = (np.sin((1 - weight) * omega) * x + np.sin(weight * omega) * y) / np.sin(omega)
    return mixed.astype(np.float32)
