"""Families for tests of the bridge's logic."""

from typing import Any

from bridge.families import Family, read_family

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
