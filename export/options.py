"""What the person who exports decides; the rest is read from the checkpoint."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from export.errors import InvalidOption
from export.lora import Lora
from export.precision import Precision
from export.target import Target

MAX_STEPS: Final = 100
MAX_GUIDANCE_SCALE: Final = 30.0

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TAKEN_ENDINGS: Final = (
    "_tokenizer",
    "_text_encoder",
    "_text_encoder_2",
    "_unet",
    "_vae_decoder",
    "_vae_encoder",
    "_inpaint_encoder",
    "_image_to_image",
    "_inpaint",
)


class SizePolicy(StrEnum):
    """What a front does with a size that the family can't make: resize the nearest it can make, or refuse."""

    FIT = "fit"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """One export: which checkpoint, into which repository, and how the family presents itself.

    `checkpoint` is a diffusers folder, an id on the Hugging Face Hub or a single file; for a file, `config` is the
    folder or id that has its configs and tokenizers, by default the one that diffusers knows for its kind. `vae` (a
    folder, id or file) replaces the checkpoint's own, `loras` are added to its weights. `name` becomes the family's
    name and the start of its models' names. `source` is what clients are told about where the weights come from; by
    default the id, or the folder's or file's name. `display_name` is `name` by default. Defaults that are None follow
    from the checkpoint. `target` is what the family will run on. With `quality` fixed prompts are painted and compared
    with torch.
    """

    checkpoint: str
    name: str
    repository: Path
    config: str | None = None
    vae: str | None = None
    loras: tuple[Lora, ...] = ()
    display_name: str | None = None
    description: str = ""
    source: str | None = None
    aliases: tuple[str, ...] = ()
    default_steps: int | None = None
    default_guidance_scale: float | None = None
    size_policy: SizePolicy = SizePolicy.EXACT
    precision: Precision = Precision.FP32
    target: Target = Target.CPU
    quality: bool = False

    def check(self) -> None:
        """Raises InvalidOption, saying what is accepted."""
        if not _NAME.fullmatch(self.name):
            raise InvalidOption(
                f"The name {self.name!r} can't be used; take lower-case letters, digits and underscores, "
                "a letter first, at most 63 characters."
            )
        if self.name == "catalog" or self.name.endswith(_TAKEN_ENDINGS):
            raise InvalidOption(
                f"The name {self.name!r} can't be used; 'catalog' and names that end in "
                f"{', '.join(_TAKEN_ENDINGS)} are taken by a family's models."
            )
        if self.default_steps is not None and not 1 <= self.default_steps <= MAX_STEPS:
            raise InvalidOption(f"The default steps are {self.default_steps}; they must be 1 to {MAX_STEPS}.")
        guidance_scale = self.default_guidance_scale
        if guidance_scale is not None and not 0 <= guidance_scale <= MAX_GUIDANCE_SCALE:
            raise InvalidOption(
                f"The default guidance scale is {guidance_scale}; it must be 0 to {MAX_GUIDANCE_SCALE:g}."
            )
