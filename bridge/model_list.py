"""What GetImageModels tells of a family, in the words that STARWEAVE's own server uses."""

from collections.abc import Sequence

from bridge.families import Family
from bridge.generation import SEEDS
from bridge.prompts.presets import Presets
from bridge.residency import Residency, State
from bridge.sizes import SizePolicy
from protos import starweave_pb2

UPSCALING = "upscaling"


def model_info(
    family: Family, residency: Residency, presets: Presets, factors: Sequence[int]
) -> starweave_pb2.ModelResponse.ModelInfo:
    """Describes one family and how Triton holds it; `factors` are those of the upscalers."""
    low, high = family.sizes.allowed
    sides = f"int ({low}-{high})"
    if family.sizes.policy is SizePolicy.EXACT:
        sides = f"int ({low}-{high}, multiple of {family.sizes.multiple})"
    return starweave_pb2.ModelResponse.ModelInfo(
        id=family.name,
        name=family.display_name,
        description=family.description,
        capabilities=(*family.capabilities, UPSCALING) if factors else family.capabilities,
        parameters={
            "width": sides,
            "height": sides,
            "steps": f"int (1-{family.max_steps})",
            "guidance_scale": f"float (0-{family.max_guidance_scale:g})",
            "seed": f"int (0-{SEEDS - 1}, -1 for random)",
            "sampler": ",".join(family.samplers),
            "supported_sizes": (f"{family.sizes.smallest}-{family.sizes.largest} in steps of {family.sizes.multiple}"),
            "size_policy": family.sizes.policy,
            "upscale": ",".join(map(str, (1, *factors))),
            "default_size": str(family.native_size),
            "default_steps": str(family.default_steps),
            "default_guidance_scale": f"{family.default_guidance_scale:g}",
            "default_sampler": family.default_sampler,
            "styles": ",".join(sorted(presets.styles(family))),
            "qualities": ",".join(sorted(presets.qualities(family))),
            "max_prompt_characters": str(family.max_prompt_characters),
            "version": str(family.version),
            "aliases": ",".join(family.aliases),
            "source": family.source,
            **_status(residency),
        },
    )


def _status(residency: Residency) -> dict[str, str]:
    """Whether the family is loaded, and what the matter is where something could not be."""
    if residency.is_lost:
        return {"status": State.FAILED, "problem": "A model process has ended; it is being started again."}
    problem = {"problem": residency.problem} if residency.problem else {}
    return {"status": residency.state, **problem}
