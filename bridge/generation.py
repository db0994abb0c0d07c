"""A validated wish for one picture, and the tensors that carry it to Triton."""

import math
import secrets
import unicodedata
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bridge.errors import InvalidRequest
from bridge.families import Family
from bridge.sizes import Size
from protos import starweave_pb2

SEEDS = 2**31
PRIORITIES = 3
NORMAL_PRIORITY = 2
FORMATS = ("png", "jpeg", "webp")


@dataclass(frozen=True, slots=True)
class Variation:
    """How far a picture leaves its seed: `strength` 0 (not at all) to 1, towards the noise of `seed`."""

    seed: int
    strength: float


@dataclass(frozen=True, slots=True)
class Generation:
    """One picture to be made by one family; every value is within the family's limits."""

    family: Family
    requested_model: str
    prompt: str
    negative_prompt: str
    size: Size
    generated_size: Size
    steps: int
    guidance_scale: float
    guidance_interval: tuple[float, float]
    sampler: str
    seed: int
    priority: int
    output_format: str
    variation: Variation | None = None

    def varied(self, number: int, strength: float) -> "Generation":
        """The `number`-th variation (from 1): at strength 1 it is the picture of the seed `number` further on."""
        return replace(self, variation=Variation((self.seed + number) % SEEDS, strength))

    def inputs(self) -> dict[str, NDArray[np.generic]]:
        """The input tensors of the family's text-to-image ensemble, with a batch dimension of 1."""
        tensors: dict[str, NDArray[np.generic]] = {
            "PROMPT": _text(self.prompt),
            "NEGATIVE_PROMPT": _text(self.negative_prompt),
            "SEED": np.array([[self.seed]], np.int64),
            "WIDTH": np.array([[self.generated_size.width]], np.int32),
            "HEIGHT": np.array([[self.generated_size.height]], np.int32),
            "STEPS": np.array([[self.steps]], np.int32),
            "GUIDANCE_SCALE": np.array([[self.guidance_scale]], np.float32),
            "GUIDANCE_INTERVAL": np.array([self.guidance_interval], np.float32),
            "SAMPLER": _text(self.sampler),
            "PRIORITY": np.array([[self.priority]], np.int32),
        }
        if self.variation is not None:
            tensors["VARIATION_SEED"] = np.array([[self.variation.seed]], np.int64)
            tensors["VARIATION_STRENGTH"] = np.array([[self.variation.strength]], np.float32)
        return tensors


def validate(request: starweave_pb2.ImageRequest, family: Family) -> Generation:
    """Makes a Generation of a request: absent values are the family's defaults, an absent seed is random.

    Raises InvalidRequest with one sentence for each field that is out of its range or not supported.
    """
    settings = request.settings
    size = Size(
        settings.width if settings.HasField("width") else family.native_size.width,
        settings.height if settings.HasField("height") else family.native_size.height,
    )
    seed = settings.seed if settings.HasField("seed") else -1
    generation = Generation(
        family=family,
        requested_model=request.model,
        prompt=request.prompt,
        negative_prompt=settings.negative_prompt,
        size=size,
        generated_size=size,
        steps=settings.steps if settings.HasField("steps") else family.default_steps,
        guidance_scale=(
            settings.guidance_scale if settings.HasField("guidance_scale") else family.default_guidance_scale
        ),
        guidance_interval=(
            settings.guidance_from if settings.HasField("guidance_from") else 0.0,
            settings.guidance_until if settings.HasField("guidance_until") else 1.0,
        ),
        sampler=settings.sampler or family.default_sampler,
        seed=secrets.randbelow(SEEDS) if seed == -1 else seed,
        priority=settings.priority or NORMAL_PRIORITY,
        output_format=settings.output_format or FORMATS[0],
    )
    problems = [problem for problem in (*_problems(generation), *_unsupported(request)) if problem]
    if problems:
        raise InvalidRequest(" ".join(problems))
    return replace(generation, generated_size=family.sizes.nearest(size))


def validate_variation_strength(strength: float) -> None:
    """Raises InvalidRequest unless `strength` is from 0 to 1."""
    problem = _out_of_range("variation_strength", strength, 0, 1)
    if problem:
        raise InvalidRequest(problem)


def time_limit(request: starweave_pb2.ImageRequest) -> float:
    """The request's own time limit in seconds, infinite where it has none. Raises InvalidRequest below 0."""
    if request.timeout_ms < 0:
        raise InvalidRequest(f"timeout_ms is {request.timeout_ms}; it must be 0 (no limit of its own) or more.")
    return request.timeout_ms / 1000 or math.inf


def _problems(generation: Generation) -> list[str | None]:
    family = generation.family
    start, end = generation.guidance_interval
    return [
        None if generation.prompt.strip() else "prompt is empty; describe the picture.",
        _text_problem("prompt", generation.prompt, family.max_prompt_characters),
        _text_problem("negative_prompt", generation.negative_prompt, family.max_prompt_characters),
        family.sizes.problem("width", generation.size.width),
        family.sizes.problem("height", generation.size.height),
        _out_of_range("steps", generation.steps, 1, family.max_steps),
        _out_of_range("guidance_scale", generation.guidance_scale, 0, family.max_guidance_scale),
        _out_of_range("guidance_from", start, 0, 1),
        _out_of_range("guidance_until", end, 0, 1),
        f"guidance_from is {start:g} and guidance_until is {end:g}; guidance_from must not be the later one."
        if start > end
        else None,
        None
        if generation.seed >= 0
        else f"seed is {generation.seed}; it must be from 0 to {SEEDS - 1}, or -1 for a random one.",
        _not_one_of("sampler", generation.sampler, family.samplers),
        _not_one_of("output_format", generation.output_format, FORMATS),
        _out_of_range("priority", generation.priority, 1, PRIORITIES),
    ]


def _unsupported(request: starweave_pb2.ImageRequest) -> list[str | None]:
    """A field that asks for something this server does not do is refused: a picture without it would be wrong."""
    settings = request.settings
    return [
        "init_image is set; this model makes pictures from text only." if request.init_image else None,
        "mask_image is set; this model makes pictures from text only." if request.mask_image else None,
        "strength is set; it only has a meaning with an init_image, which this model does not take."
        if request.HasField("strength")
        else None,
        f"style is {settings.style!r}; no styles are known, leave it empty." if settings.style else None,
        f"upscale is {settings.upscale}; pictures are not upscaled, leave it out or 1."
        if settings.upscale not in (0, 1)
        else None,
        f"quality is {settings.quality!r}; no qualities are known, leave it empty." if settings.quality else None,
    ]


def _text_problem(name: str, text: str, limit: int) -> str | None:
    if len(text) > limit:
        return f"{name} is {len(text)} characters long; it may have up to {limit}."
    control = next((c for c in text if unicodedata.category(c) == "Cc" and c not in "\t\n\r"), None)
    if control is not None:
        return f"{name} holds the control character U+{ord(control):04X}; only tabs and line breaks are allowed."
    return None


def _out_of_range(name: str, value: float, low: float, high: float) -> str | None:
    # Written so that NaN, which compares false with everything, is out of range.
    return None if low <= value <= high else f"{name} is {value:g}; it must be from {low:g} to {high:g}."


def _not_one_of(name: str, value: str, allowed: tuple[str, ...]) -> str | None:
    return None if value in allowed else f"{name} is {value!r}; it must be one of {', '.join(allowed)}."


def _text(value: str) -> NDArray[np.generic]:
    return np.array([[value.encode()]], np.object_)
