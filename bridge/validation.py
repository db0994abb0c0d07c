"""Checks a request against the limits of the family that is to fulfil it, and completes it with its defaults."""

import math
import re
import secrets
from dataclasses import dataclass

import numpy as np

from bridge.errors import InvalidRequest
from bridge.families import Capability, Family
from bridge.generation import SEEDS, Generation
from bridge.prompts.prompt_origin import PromptOrigin
from bridge.sizes import Size, SizeRange
from protos import starweave_pb2

PRIORITIES = 3
NORMAL_PRIORITY = 2
FORMATS = ("png", "jpeg", "webp")
# As diffusers' StableDiffusionImg2ImgPipeline and StableDiffusionInpaintPipeline.
DEFAULT_STRENGTH = {Capability.IMAGE_TO_IMAGE: 0.8, Capability.INPAINTING: 1.0}
# Characters of a name that a client makes up; model ids and user ids are far shorter.
MAX_NAME_CHARACTERS = 256
# Of a refused text that is shown again.
_SHOWN_CHARACTERS = 60
# Unicode's category Cc without tab and line breaks.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# How a request asks for each capability.
_ASKED_BY = {
    Capability.TEXT_TO_IMAGE: "a request without an init_image",
    Capability.IMAGE_TO_IMAGE: "a request with an init_image and no mask_image",
    Capability.INPAINTING: "a request with an init_image and a mask_image",
}


@dataclass(frozen=True, slots=True)
class UpscaleLimits:
    """How much larger a finished picture may be made: one of the `factors`, up to `max_pixels` in all."""

    factors: tuple[int, ...] = ()
    max_pixels: int = 0


NO_UPSCALING = UpscaleLimits()


def capability_of(request: starweave_pb2.ImageRequest) -> Capability:
    """What a request asks a family for, told by the pictures that it brings."""
    if not request.init_image:
        return Capability.TEXT_TO_IMAGE
    return Capability.INPAINTING if request.mask_image else Capability.IMAGE_TO_IMAGE


def size_from(init: Size, settings: starweave_pb2.ImageSettings, sizes: SizeRange) -> Size:
    """The size of a picture that starts from one of the size `init`.

    An absent width and height are the init image's own, as near as a request may ask for them; where one is given,
    the other follows in proportion.
    """
    if settings.HasField("width") and settings.HasField("height"):
        return Size(settings.width, settings.height)
    if settings.HasField("width"):
        height = max(1, round(init.height * settings.width / init.width))
        return Size(settings.width, sizes.own_size(Size(settings.width, height)).height)
    if settings.HasField("height"):
        width = max(1, round(init.width * settings.height / init.height))
        return Size(sizes.own_size(Size(width, settings.height)).width, settings.height)
    return sizes.own_size(init)


def validate_names(request: starweave_pb2.ImageRequest) -> None:
    """Checks what is looked at before a family is found. Raises InvalidRequest."""
    problems = [
        _text_problem("model", request.model, MAX_NAME_CHARACTERS),
        _text_problem("user_id", request.user_id, MAX_NAME_CHARACTERS),
        _text_problem("style", request.settings.style, MAX_NAME_CHARACTERS),
        _text_problem("quality", request.settings.quality, MAX_NAME_CHARACTERS),
    ]
    if any(problems):
        raise InvalidRequest(" ".join(problem for problem in problems if problem))


def validate(request: starweave_pb2.ImageRequest, family: Family, upscales: UpscaleLimits = NO_UPSCALING) -> Generation:
    """Makes a Generation of a request: absent values are the family's defaults, an absent seed is random.

    The pictures that the request may bring are not looked at; their size is taken over by `resized(size_from(..))`.
    Raises InvalidRequest with one sentence for each field that is out of its range or not supported.
    """
    settings = request.settings
    size = Size(
        settings.width if settings.HasField("width") else family.native_size.width,
        settings.height if settings.HasField("height") else family.native_size.height,
    )
    seed = settings.seed if settings.HasField("seed") else -1
    capability = capability_of(request)
    generation = Generation(
        family=family,
        capability=capability,
        requested_model=request.model,
        prompt=request.prompt,
        negative_prompt=settings.negative_prompt,
        prompt_origin=PromptOrigin(request.prompt, settings.negative_prompt),
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
        upscale=settings.upscale or 1,
        strength=_decimal(request.strength) if request.HasField("strength") else DEFAULT_STRENGTH.get(capability),
    )
    found = (*_problems(generation), *_unsupported(request, capability), _upscale_problem(generation, upscales))
    problems = [problem for problem in found if problem]
    if problems:
        raise InvalidRequest(" ".join(problems))
    return generation.resized(size)


def check_finished_size(generation: Generation, upscales: UpscaleLimits) -> None:
    """Raises InvalidRequest for a picture that has got its size from its init image and becomes too large."""
    problem = _upscale_problem(generation, upscales)
    if problem:
        raise InvalidRequest(problem)


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
        _capability_problem(generation),
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
        _strength_problem(generation),
    ]


def _unsupported(request: starweave_pb2.ImageRequest, capability: Capability) -> list[str | None]:
    """A field that asks for something this server does not do is refused: a picture without it would be wrong."""
    return [
        "mask_image is set without an init_image; it marks what is repainted in one."
        if capability is Capability.TEXT_TO_IMAGE and request.mask_image
        else None,
    ]


def _capability_problem(generation: Generation) -> str | None:
    family = generation.family
    if generation.capability in family.ensembles:
        return None
    offered = ", ".join(family.capabilities)
    return (
        f"The model {family.name} offers {offered} and does not offer {generation.capability}, "
        f"which {_ASKED_BY[generation.capability]} asks for."
    )


def _strength_problem(generation: Generation) -> str | None:
    strength, steps = generation.strength, generation.steps
    if strength is None:
        return None
    if generation.capability is Capability.TEXT_TO_IMAGE:
        return "strength is set without an init_image; it tells how far the picture may leave one."
    if not 0 < strength <= 1:
        return f"strength is {strength:g}; it must be above 0 and up to 1."
    # As diffusers counts the steps that are left.
    if steps >= 1 and int(steps * strength) < 1:
        return (
            f"steps is {steps} and strength is {strength:g}, which leaves no step to take; "
            f"at this strength, steps must be at least {math.ceil(1 / strength)}."
        )
    return None


def _upscale_problem(generation: Generation, upscales: UpscaleLimits) -> str | None:
    factor = generation.upscale
    if factor == 1:
        return None
    if not upscales.factors:
        return f"upscale is {factor}; no upscaler is deployed here, leave it out or 1."
    if factor not in upscales.factors:
        return f"upscale is {factor}; it must be one of {', '.join(map(str, (1, *upscales.factors)))}."
    finished = generation.finished_size
    if finished.width * finished.height > upscales.max_pixels:
        return (
            f"upscale is {factor} and the picture {generation.size}, which makes {finished}; up to "
            f"{upscales.max_pixels} pixels are allowed, ask for a smaller size or factor."
        )
    return None


def _text_problem(name: str, text: str, limit: int) -> str | None:
    if len(text) > limit:
        return f"{name} is {len(text)} characters long; it may have up to {limit}."
    control = _CONTROL_CHARACTER.search(text)
    if control is not None:
        return f"{name} holds the control character U+{ord(control[0]):04X}; only tabs and line breaks are allowed."
    return None


def _out_of_range(name: str, value: float, low: float, high: float) -> str | None:
    # Written so that NaN, which compares false with everything, is out of range.
    return None if low <= value <= high else f"{name} is {value:g}; it must be from {low:g} to {high:g}."


def _not_one_of(name: str, value: str, allowed: tuple[str, ...]) -> str | None:
    return None if value in allowed else f"{name} is {shown(value)}; it must be one of {', '.join(allowed)}."


def shown(text: str) -> str:
    """A text that is refused, quoted and not at any length."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")


def _decimal(value: float) -> float:
    """The number that was written before it became a 32-bit float: 0.7, not 0.699999988, which loses a step of ten."""
    return float(str(np.float32(value)))
