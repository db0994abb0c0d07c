"""Pictures by diffusers' own pipelines on the demo checkpoint, to compare with."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import numpy.typing as npt
import torch
from diffusion_engine.samplers import SAMPLERS

from tests.checkpoint import CHECKPOINT

CLOSE_LATENTS = 1e-3
CLOSE_DB = 40
FAR_DB = 25


def psnr(ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> float:
    """Peak signal to noise ratio in dB."""
    error = np.mean((ours.astype(np.float64) - theirs.astype(np.float64)) ** 2)
    return 10 * math.log10(255**2 / error) if error else math.inf


@dataclass(frozen=True, slots=True)
class Reference:
    """A checkpoint's components, and the scheduler config that every sampler's scheduler is made from."""

    components: Mapping[str, Any]
    scheduler_config: Mapping[str, Any]

    @classmethod
    def load(cls) -> Reference:
        """The demo checkpoint; torch computes on one thread from then on."""
        # Several that share their cores with Triton's wait for each other most of the time.
        torch.set_num_threads(1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline = diffusers.StableDiffusionPipeline.from_pretrained(CHECKPOINT)
        return cls(pipeline.components, dict(pipeline.scheduler.config))

    def picture(
        self, pipeline_class: str, sampler: str, seed: int, **settings: Any
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """The final latents [4, h, w] and the picture [H, W, 3] of one call of a pipeline."""
        scheduler = getattr(diffusers, SAMPLERS[sampler].diffusers_class)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            components = {
                **self.components,
                "scheduler": scheduler.from_config(self.scheduler_config, **SAMPLERS[sampler].overrides),
            }
            pipeline = getattr(diffusers, pipeline_class)(**components, requires_safety_checker=False)
            pipeline.set_progress_bar_config(disable=True)
            generator = torch.Generator("cpu").manual_seed(seed)
            latents = pipeline(generator=generator, output_type="latent", **settings).images
        with torch.no_grad():
            decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
        image = pipeline.image_processor.postprocess(decoded, output_type="pil")[0]
        return latents[0].numpy(), np.asarray(image)
