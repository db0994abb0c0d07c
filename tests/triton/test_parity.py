"""Pictures from Triton against diffusers' pipelines on the same checkpoint, seed and settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diffusion_engine.samplers import SAMPLERS
from PIL import Image

from tests.triton.diffusers_reference import CLOSE_DB, CLOSE_LATENTS, FAR_DB, Reference, psnr
from tests.triton.family_client import FamilyClient

PROMPT = "a red circle left of a yellow star on a blue background"
OTHER_PROMPT = "a white moon on a green background"
STEPS, GUIDANCE_SCALE, SEED = 12, 6.0, 42
SIZES = [(128, 128), (192, 128)]
WEAK = 0.3
STRENGTHS = [(sampler, WEAK) for sampler in SAMPLERS] + [
    (sampler, strength) for sampler in ("ddim", "euler_a", "dpmpp_2m") for strength in (0.8, 1.0)
]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.load()


def scene() -> tuple[np.ndarray, np.ndarray]:
    """An init image of another scene than the prompt's, and a mask over its right half."""
    y, x = np.mgrid[:128, :128]
    image = np.full((128, 128, 3), (252, 211, 60), np.uint8)
    image[(x - 64) ** 2 + (y - 40) ** 2 < 30**2] = (56, 142, 60)
    return image, np.where(x >= 64, 255, 0).astype(np.uint8)[:, :, None]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_text_to_image_equals_diffusers(
    demo: FamilyClient, reference: Reference, sampler: str, size: tuple[int, int]
) -> None:
    width, height = size
    their_latents, theirs = reference.picture(
        "StableDiffusionPipeline",
        sampler,
        SEED,
        prompt=PROMPT,
        width=width,
        height=height,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
    )
    settings: dict[str, Any] = {
        "STEPS": STEPS,
        "GUIDANCE_SCALE": GUIDANCE_SCALE,
        "SEED": SEED,
        "WIDTH": width,
        "HEIGHT": height,
        "SAMPLER": sampler,
    }
    latents = demo.latents(PROMPT, **settings)
    assert np.linalg.norm(latents - their_latents) <= CLOSE_LATENTS * np.linalg.norm(their_latents)
    made = demo.picture(PROMPT=PROMPT, **settings)
    assert made.image.shape == (height, width, 3)
    assert psnr(made.image, theirs) >= CLOSE_DB
    if size != SIZES[0]:
        return
    # Without these the comparison could pass on pictures that ignore their inputs.
    others = {"prompt": {"PROMPT": OTHER_PROMPT}, "guidance": {"GUIDANCE_SCALE": 1.0}, "steps": {"STEPS": 2}}
    for name, change in others.items():
        other = demo.picture(**{"PROMPT": PROMPT, **settings, **change})
        assert psnr(other.image, theirs) < FAR_DB, f"another {name} makes the same picture"


@pytest.mark.parametrize(("sampler", "strength"), STRENGTHS)
@pytest.mark.parametrize("kind", ["image_to_image", "inpaint"])
def test_pictures_from_pictures_equal_diffusers(
    demo: FamilyClient, reference: Reference, kind: str, sampler: str, strength: float
) -> None:
    image, mask = scene()
    theirs_settings: dict[str, Any] = {
        "prompt": PROMPT,
        "image": Image.fromarray(image),
        "num_inference_steps": STEPS,
        "guidance_scale": GUIDANCE_SCALE,
        "strength": strength,
    }
    settings: dict[str, Any] = {
        "INIT_IMAGE": image,
        "STRENGTH": strength,
        "STEPS": STEPS,
        "GUIDANCE_SCALE": GUIDANCE_SCALE,
        "SEED": SEED,
        "SAMPLER": sampler,
    }
    pipeline = "StableDiffusionImg2ImgPipeline"
    if kind == "inpaint":
        pipeline = "StableDiffusionInpaintPipeline"
        theirs_settings |= {"mask_image": Image.fromarray(mask[:, :, 0]), "width": 128, "height": 128}
        settings["MASK"] = mask
    _, theirs = reference.picture(pipeline, sampler, SEED, **theirs_settings)
    made = demo.picture(kind=kind, PROMPT=PROMPT, **settings)
    assert psnr(made.image, theirs) >= CLOSE_DB
    if strength != WEAK:
        # A strong one leaves little of the init image: another one makes nearly the same picture, in diffusers too.
        return
    others: dict[str, dict[str, Any]] = {"init image": {"INIT_IMAGE": 255 - image}}
    if kind == "inpaint":
        others["mask"] = {"MASK": 255 - mask}
    else:
        others["strength"] = {"STRENGTH": 1.0}
    for name, change in others.items():
        other = demo.picture(kind=kind, **{"PROMPT": PROMPT, **settings, **change})
        assert psnr(other.image, theirs) < FAR_DB, f"another {name} makes the same picture"
