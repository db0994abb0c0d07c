"""What one picture was asked for, checked against its family's limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from diffusion_engine.errors import InvalidRequest
from diffusion_engine.parameters import integer, number, text, texts

SEED_LIMIT = 2**32
LAST_PRIORITY = 3
NORMAL_PRIORITY = 2
# What the families mean that were exported before these parameters existed.
_ADDED_LATER = {"default_guidance_rescale": "0"}


@dataclass(frozen=True, slots=True)
class Picture:
    """The settings of one picture, complete and valid.

    `width` and `height` are pixels, `guidance_from` and `guidance_until` fractions of the schedule, `priority` is 1
    (first) to 3. With a `variation_seed` the initial noise is interpolated towards that seed's by
    `variation_strength`. `strength` is how far the picture may leave its init image, above 0 and up to 1.
    `guidance_rescale`, 0 to 1, is how much of the spread that guidance adds is taken away again. `time_ids` is SDXL's
    micro-conditioning; None says that the picture is whole and of its own size.
    """

    width: int
    height: int
    steps: int
    guidance_scale: float
    sampler: str
    seed: int
    guidance_from: float = 0.0
    guidance_until: float = 1.0
    variation_seed: int | None = None
    variation_strength: float = 0.0
    priority: int = NORMAL_PRIORITY
    strength: float = 1.0
    guidance_rescale: float = 0.0
    time_ids: tuple[float, ...] | None = None

    @property
    def guided(self) -> bool:
        """Whether any step needs the negative prompt (classifier-free guidance, Ho & Salimans 2022)."""
        return self.guidance_scale > 1 and self.guidance_from < self.guidance_until


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request says of one picture; None takes the family's default."""

    seed: int
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    guidance_interval: tuple[float, float] | None = None
    sampler: str | None = None
    variation_seed: int | None = None
    variation_strength: float | None = None
    priority: int | None = None
    strength: float | None = None
    guidance_rescale: float | None = None
    time_ids: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """A family's defaults and limits, from the parameters of its UNet's `config.pbtxt`."""

    native_width: int
    native_height: int
    min_size: int
    max_size: int
    size_multiple: int
    default_steps: int
    max_steps: int
    default_guidance_scale: float
    max_guidance_scale: float
    default_guidance_rescale: float
    default_sampler: str
    samplers: tuple[str, ...]

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Family:
        """Reads the family out of the parameters; raises UnsupportedConfig where one is missing or malformed."""
        return cls(
            native_width=integer(parameters, "native_width"),
            native_height=integer(parameters, "native_height"),
            min_size=integer(parameters, "min_size"),
            max_size=integer(parameters, "max_size"),
            size_multiple=integer(parameters, "size_multiple"),
            default_steps=integer(parameters, "default_steps"),
            max_steps=integer(parameters, "max_steps"),
            default_guidance_scale=number(parameters, "default_guidance_scale"),
            max_guidance_scale=number(parameters, "max_guidance_scale"),
            default_guidance_rescale=number({**_ADDED_LATER, **parameters}, "default_guidance_rescale"),
            default_sampler=text(parameters, "default_sampler"),
            samplers=texts(parameters, "samplers"),
        )

    def picture(self, wishes: Wishes) -> Picture:
        """Completes and checks what was asked for; raises InvalidRequest naming input, value and allowed range."""
        interval = wishes.guidance_interval or (0.0, 1.0)
        picture = Picture(
            width=self.native_width if wishes.width is None else wishes.width,
            height=self.native_height if wishes.height is None else wishes.height,
            steps=self.default_steps if wishes.steps is None else wishes.steps,
            guidance_scale=(self.default_guidance_scale if wishes.guidance_scale is None else wishes.guidance_scale),
            guidance_from=interval[0],
            guidance_until=interval[1],
            sampler=wishes.sampler or self.default_sampler,
            seed=wishes.seed,
            variation_seed=wishes.variation_seed,
            variation_strength=wishes.variation_strength or 0.0,
            priority=NORMAL_PRIORITY if wishes.priority is None else wishes.priority,
            strength=1.0 if wishes.strength is None else wishes.strength,
            guidance_rescale=(
                self.default_guidance_rescale if wishes.guidance_rescale is None else wishes.guidance_rescale
            ),
            time_ids=wishes.time_ids,
        )
        self._check(picture)
        return picture

    def _check(self, picture: Picture) -> None:
        for name, size in (("WIDTH", picture.width), ("HEIGHT", picture.height)):
            if not self.min_size <= size <= self.max_size or size % self.size_multiple:
                raise InvalidRequest(
                    f"{name} is {size}; it must be a multiple of {self.size_multiple} "
                    f"from {self.min_size} to {self.max_size}."
                )
        _check_range("STEPS", picture.steps, 1, self.max_steps)
        _check_range("GUIDANCE_SCALE", picture.guidance_scale, 0, self.max_guidance_scale)
        _check_range("GUIDANCE_RESCALE", picture.guidance_rescale, 0, 1)
        _check_range("SEED", picture.seed, 0, SEED_LIMIT - 1)
        _check_range("PRIORITY", picture.priority, 1, LAST_PRIORITY)
        _check_range("VARIATION_STRENGTH", picture.variation_strength, 0, 1)
        if not 0 < picture.strength <= 1:
            raise InvalidRequest(f"STRENGTH is {picture.strength}; it must be above 0 and at most 1.")
        if picture.variation_seed is not None:
            _check_range("VARIATION_SEED", picture.variation_seed, 0, SEED_LIMIT - 1)
        elif picture.variation_strength > 0:
            raise InvalidRequest("VARIATION_STRENGTH needs a VARIATION_SEED.")
        if not 0 <= picture.guidance_from <= picture.guidance_until <= 1:
            raise InvalidRequest(
                f"GUIDANCE_INTERVAL is [{picture.guidance_from}, {picture.guidance_until}]; "
                "it must be two rising fractions from 0 to 1."
            )
        if picture.time_ids is not None and not all(map(math.isfinite, picture.time_ids)):
            raise InvalidRequest(f"TIME_IDS is {list(picture.time_ids)}; it must be finite numbers.")
        if picture.sampler not in self.samplers:
            raise InvalidRequest(f"SAMPLER is {picture.sampler!r}; it must be one of {', '.join(self.samplers)}.")


def _check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not math.isfinite(value) or not lowest <= value <= highest:
        raise InvalidRequest(f"{name} is {value}; it must be from {lowest} to {highest}.")
