"""Families for tests of the bridge's logic."""

from collections.abc import Sequence
from typing import Any

from bridge.catalog import Catalog
from bridge.families import Family, read_family
from bridge.loading import Loader
from bridge.residents import Residents

PARAMETERS = {
    "family": "fox",
    "version": "3",
    "display_name": "The Fox",
    "description": "Paints foxes.",
    "source": "somewhere/fox",
    "aliases": '["someone/fox-v1"]',
    "native_width": "128",
    "native_height": "96",
    "min_size": "64",
    "max_size": "256",
    "size_multiple": "32",
    "size_policy": "fit",
    "default_steps": "20",
    "max_steps": "100",
    "default_guidance_scale": "5.5",
    "max_guidance_scale": "30",
    "default_sampler": "ddim",
    "samplers": '["ddim", "euler"]',
    "capabilities": '["text-to-image"]',
    "max_prompt_characters": "40",
}

# The ensembles of a family that makes pictures from pictures too.
PAINTER = {"text-to-image": "fox", "image-to-image": "fox_image_to_image", "inpainting": "fox_inpaint"}


def entry(**changes: str) -> dict[str, Any]:
    """An entry of the catalog's `families`, with some parameters changed."""
    return {
        "name": "fox",
        "version": 3,
        "parameters": PARAMETERS | changes,
        "ensembles": {"text-to-image": "fox"},
        "models": [{"name": "fox_unet", "backend": "diffusion", "versions": [{"version": 3, "fingerprint": "ab"}]}],
        "fingerprint": "cd",
    }


def family(ensembles: dict[str, str] | None = None, **changes: str) -> Family:
    """A family with some parameters changed; it makes pictures from text only unless `ensembles` says more."""
    described = entry(**changes)
    if ensembles is not None:
        described["ensembles"] = ensembles
    return read_family(described)


def catalog_of(triton: Any, fallback_models: Sequence[str] = (), max_resident: int = 4) -> Catalog:
    """The catalog of a Triton, which may be a double, as the bridge puts it together."""
    loader = Loader(triton)
    return Catalog(triton, loader, Residents(loader, max_resident), 1, fallback_models)
