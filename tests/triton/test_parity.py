"""Pictures from Triton against `diffusers.StableDiffusionPipeline` on the same checkpoint, seed and settings."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import numpy.typing as npt
import pytest
import torch
from diffusion_engine.samplers import SAMPLERS

from tests.checkpoint import CHECKPOINT
from tests.triton.family_client import FamilyClient

PROMPT = "a red circle left of a yellow star on a blue background"
SETTINGS: dict[str, Any] = {"STEPS": 12, "GUIDANCE_SCALE": 6.0, "SEED": 42}
SIZES = [(128, 128), (192, 128)]
CLOSE_LATENTS = 1e-3
CLOSE_DB = 40
FAR_DB = 25


def psnr(ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> float:
    """Peak signal to noise ratio in dB."""
    error = np.mean((ours.astype(np.float64) - theirs.astype(np.float64)) ** 2)
    return 10 * math.log10(255**2 / error) if error else math.inf


@dataclass(frozen=True, slots=True)
class Reference:
    """The checkpoint's pipeline, and the scheduler config that every sampler's scheduler is made from."""

    pipeline: diffusers.StableDiffusionPipeline
    scheduler_config: dict[str, Any]

    def picture(self, sampler: str, width: int, height: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Its final latents [4, h, w] and its picture."""
        scheduler = getattr(diffusers, SAMPLERS[sampler].diffusers_class)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pipeline.scheduler = scheduler.from_config(self.scheduler_config, **SAMPLERS[sampler].overrides)
        latents = self.pipeline(
            PROMPT,
            width=width,
            height=height,
            num_inference_steps=SETTINGS["STEPS"],
            guidance_scale=SETTINGS["GUIDANCE_SCALE"],
            generator=torch.Generator("cpu").manual_seed(SETTINGS["SEED"]),
            output_type="latent",
        ).images
        with torch.no_grad():
            decoded = self.pipeline.vae.decode(latents / self.pipeline.vae.config.scaling_factor).sample
        image = self.pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
        return latents[0].numpy(), np.asarray(image)


@pytest.fixture(scope="module")
def reference() -> Reference:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(CHECKPOINT)
    pipeline.set_progress_bar_config(disable=True)
    return Reference(pipeline, dict(pipeline.scheduler.config))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pictures_equal_those_of_diffusers(
    demo: FamilyClient, reference: Reference, sampler: str, size: tuple[int, int]
) -> None:
    width, height = size
    settings = {**SETTINGS, "WIDTH": width, "HEIGHT": height, "SAMPLER": sampler}
    their_latents, theirs = reference.picture(sampler, width, height)

    latents = demo.latents(PROMPT, **settings)
    error = np.linalg.norm(latents - their_latents) / np.linalg.norm(their_latents)
    assert error <= CLOSE_LATENTS
    made = demo.picture(PROMPT=PROMPT, **settings)
    assert made.image.shape == (height, width, 3)
    assert psnr(made.image, theirs) >= CLOSE_DB

    if size != SIZES[0]:
        return
    # Without these the comparison could pass on pictures that ignore their inputs.
    others = {
        "prompt": {"PROMPT": "a white moon on a green background"},
        "guidance": {"GUIDANCE_SCALE": 1.0},
        "steps": {"STEPS": 2},
    }
    for name, change in others.items():
        other = demo.picture(**{"PROMPT": PROMPT, **settings, **change})
        assert psnr(other.image, theirs) < FAR_DB, f"another {name} makes the same picture"
