"""What a front and the engine must know of a family, as it stands in the parameters of its models."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from export.checkpoint import Checkpoint
from export.defaults import Defaults
from export.known_models import usual_names
from export.options import MAX_GUIDANCE_SCALE, MAX_STEPS, ExportOptions, SizePolicy

MAX_PROMPT_CHARACTERS: Final = 1000

# Of a family whose UNet takes latents alone.
_CAPABILITIES: Final = ("text-to-image", "image-variation", "image-to-image", "inpainting")

# The keys that the UNet's engine reads; a front reads all of them.
_ENGINE_KEYS: Final = (
    "native_width",
    "native_height",
    "min_size",
    "max_size",
    "size_multiple",
    "default_steps",
    "max_steps",
    "default_guidance_scale",
    "max_guidance_scale",
    "default_guidance_rescale",
    "default_sampler",
    "samplers",
)


@dataclass(frozen=True, slots=True)
class FamilyParameters:
    """A family's name, limits and defaults. Sizes are pixels; `version` is the one that is active."""

    family: str
    version: int
    display_name: str
    description: str
    source: str
    aliases: tuple[str, ...]
    native_width: int
    native_height: int
    min_size: int
    max_size: int
    size_multiple: int
    size_policy: SizePolicy
    default_steps: int
    max_steps: int
    default_guidance_scale: float
    max_guidance_scale: float
    default_guidance_rescale: float
    default_sampler: str
    samplers: tuple[str, ...]
    capabilities: tuple[str, ...]
    max_prompt_characters: int

    @classmethod
    def derive(cls, checkpoint: Checkpoint, options: ExportOptions, version: int) -> FamilyParameters:
        """Takes sizes, samplers and what the options leave open from the checkpoint.

        Sizes reach from half to twice the native one, in multiples that the UNet's downsampling divides.
        """
        multiple = checkpoint.size_multiple
        defaults = Defaults.of(checkpoint)
        source = options.source or checkpoint.source
        guidance_scale = options.default_guidance_scale
        return cls(
            family=options.name,
            version=version,
            display_name=options.display_name or options.name,
            description=options.description,
            source=source,
            aliases=tuple(dict.fromkeys((*options.aliases, *usual_names(checkpoint.source), *usual_names(source)))),
            native_width=checkpoint.native_width,
            native_height=checkpoint.native_height,
            min_size=max(_down(min(checkpoint.native_width, checkpoint.native_height) // 2, multiple), multiple),
            max_size=_down(max(checkpoint.native_width, checkpoint.native_height) * 2, multiple),
            size_multiple=multiple,
            size_policy=options.size_policy,
            default_steps=defaults.steps if options.default_steps is None else options.default_steps,
            max_steps=MAX_STEPS,
            default_guidance_scale=defaults.guidance_scale if guidance_scale is None else guidance_scale,
            max_guidance_scale=MAX_GUIDANCE_SCALE,
            default_guidance_rescale=defaults.guidance_rescale,
            default_sampler=checkpoint.sampling.default,
            samplers=checkpoint.sampling.names,
            capabilities=("inpainting",) if checkpoint.inpainting else _CAPABILITIES,
            max_prompt_characters=MAX_PROMPT_CHARACTERS,
        )

    def strings(self) -> dict[str, str]:
        """Every parameter as Triton carries it: text, with lists as JSON."""
        return {key: _text(value) for key, value in asdict(self).items()}

    def engine_strings(self) -> dict[str, str]:
        """The parameters that the UNet's model repeats for its engine."""
        strings = self.strings()
        return {key: strings[key] for key in _ENGINE_KEYS}


def _down(size: int, multiple: int) -> int:
    return size - size % multiple


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
