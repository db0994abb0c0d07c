"""How a checkpoint's pictures are made where nobody says so: steps and guidance that suit what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from export.checkpoint import Checkpoint

# Consistency models, and those distilled for few steps (Turbo, Lightning), which these schedulers are for.
_CONSISTENCY: Final = ("LCMScheduler", "TCDScheduler")
_FEW_STEP: Final = ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")


@dataclass(frozen=True, slots=True)
class Defaults:
    """Steps, guidance scale (up to 1 is off) and guidance rescale, 0 to 1."""

    steps: int
    guidance_scale: float
    guidance_rescale: float = 0.0

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Defaults:
        """Tells a checkpoint's kind by its UNet and its scheduler's config.

        Guidance scales are those of diffusers' pipelines; the rescale of models trained to zero terminal SNR is that of
        Lin et al. 2023, section 3.4.
        """
        config = checkpoint.scheduler_config
        zero_snr = config.get("rescale_betas_zero_snr") is True
        if checkpoint.guidance_width is not None:
            return cls(steps=4, guidance_scale=8.5)
        kind = config.get("_class_name")
        trailing = config.get("timestep_spacing") == "trailing"
        if kind in _CONSISTENCY or (kind in _FEW_STEP and trailing and not zero_snr):
            return cls(steps=4, guidance_scale=0.0)
        return cls(
            steps=20,
            guidance_scale=5.0 if checkpoint.is_xl else 7.5,
            guidance_rescale=0.7 if zero_snr else 0.0,
        )
