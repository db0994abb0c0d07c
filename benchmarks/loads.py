"""Loads: what is asked for (workloads) and when (arrivals); both reproducible by their seeds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

PIXELS_A_LATENT: Final = 8
_STEPS: Final = (8, 50)
_SCALES: Final = (1.0, 4.0, 7.5, 12.0)
SAMPLERS: Final = ("ddim", "euler", "euler_a", "dpmpp_2m")
_LARGE_SHARE: Final = 0.05
_DEFAULT_SHARE: Final = 0.6
_COLORS: Final = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
_SHAPES: Final = ("circle", "square", "triangle", "star", "ring", "cross")


class Workload(StrEnum):
    """What the pictures of a load have in common.

    UNIFORM: STARWEAVE's default call only. REALISTIC: 60 % of it, the rest as in MIXED. MIXED: steps 8 to 50, guidance
    scales 1, 4, 7.5 and 12, four samplers, two sizes of which 5 % are the large one.
    """

    UNIFORM = "uniform"
    REALISTIC = "realistic"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """What one request asks for; `size` is the side in pixels."""

    prompt: str
    steps: int
    guidance_scale: float
    sampler: str
    size: int
    seed: int

    @property
    def rows(self) -> int:
        """UNet rows of a step: two with guidance, else one."""
        return 2 if self.guidance_scale > 1 else 1

    @property
    def latent_pixels(self) -> int:
        """Latent pixels of a row."""
        return (self.size // PIXELS_A_LATENT) ** 2


@dataclass(frozen=True, slots=True)
class Sizes:
    """The two sides, in pixels, that a load's pictures have."""

    normal: int
    large: int


def draw(workload: Workload, count: int, sizes: Sizes, seed: int) -> list[PictureSettings]:
    """`count` pictures of a workload, each with a prompt and a seed of its own."""
    rng = random.Random(f"{workload}-{seed}")
    return [_one(workload, sizes, rng) for _ in range(count)]


def _one(workload: Workload, sizes: Sizes, rng: random.Random) -> PictureSettings:
    prompt = f"a {rng.choice(_COLORS)} {rng.choice(_SHAPES)} on a {rng.choice(_COLORS)} background"
    picture_seed = rng.randrange(2**31)
    default = PictureSettings(prompt, 20, 7.5, "ddim", sizes.normal, picture_seed)
    mixed = PictureSettings(
        prompt=prompt,
        steps=rng.randint(*_STEPS),
        guidance_scale=rng.choice(_SCALES),
        sampler=rng.choice(SAMPLERS),
        size=sizes.large if rng.random() < _LARGE_SHARE else sizes.normal,
        seed=picture_seed,
    )
    share = {Workload.UNIFORM: 1.0, Workload.REALISTIC: _DEFAULT_SHARE, Workload.MIXED: 0.0}[workload]
    return default if rng.random() < share else mixed


def poisson_arrivals(rate: float, count: int, seed: int) -> list[float]:
    """`count` arrival times, in seconds from 0, of a Poisson process with `rate` arrivals a second."""
    rng = random.Random(seed)
    now = 0.0
    times: list[float] = []
    for _ in range(count):
        now += rng.expovariate(rate)
        times.append(now)
    return times


class OpenLoop:
    """Pictures that arrive at given times, whatever became of the ones before."""

    def __init__(self, pictures: list[PictureSettings], times: list[float]) -> None:
        self._coming = list(zip(times, pictures, strict=True))[::-1]

    def next_arrival(self) -> float | None:
        """When the next picture arrives; None where no more will."""
        return self._coming[-1][0] if self._coming else None

    def due(self, now: float) -> list[tuple[float, PictureSettings]]:
        """Arrival times and settings of what has arrived by `now` and was not given out yet."""
        arrived = []
        while self._coming and self._coming[-1][0] <= now:
            arrived.append(self._coming.pop())
        return arrived

    def on_finished(self, now: float) -> None:
        """Nothing: an open loop does not wait for answers."""


class ClosedLoop:
    """Clients that each ask for the next picture as soon as they have the one before."""

    def __init__(self, pictures: list[PictureSettings], clients: int) -> None:
        self._left = pictures[::-1]
        self._asking: list[float] = [0.0] * min(clients, len(pictures))

    def next_arrival(self) -> float | None:
        """When a client asks next; None where none will before another has its answer."""
        return self._asking[0] if self._asking and self._left else None

    def due(self, now: float) -> list[tuple[float, PictureSettings]]:
        """Arrival times and settings of what is asked for by `now`."""
        arrived = [(time, self._left.pop()) for time in self._asking if self._left]
        self._asking = []
        return arrived

    def on_finished(self, now: float) -> None:
        """A client has its picture and asks for the next."""
        self._asking.append(now)


Load = OpenLoop | ClosedLoop
