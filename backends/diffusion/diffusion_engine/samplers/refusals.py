"""Refusals: what a scheduler config asks for and a sampler's diffusers class, or the engine, does not have."""

from __future__ import annotations

from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.scheduler_config import PredictionType, SchedulerConfig


def refuse_clipping(config: SchedulerConfig, sampler: str) -> None:
    """Raises `UnsupportedConfig` where predictions of x0 are to be clipped, which is not linear."""
    if config.clip_sample:
        raise UnsupportedConfig(
            "scheduler config: clip_sample is true, and the engine does not implement clipping; set it to false or use"
            f" another sampler than {sampler}"
        )


def refuse_sample_prediction(config: SchedulerConfig, sampler: str) -> None:
    """Raises `UnsupportedConfig` where the UNet predicts x0 itself."""
    if config.prediction_type is PredictionType.SAMPLE:
        raise UnsupportedConfig(
            f"scheduler config: prediction_type is 'sample', which the sampler {sampler} does not implement"
        )


def refuse_zero_snr(config: SchedulerConfig, sampler: str) -> None:
    """Raises `UnsupportedConfig` where training ended in pure noise.

    diffusers' classes without `rescale_betas_zero_snr` would sample on another schedule than the model's.
    """
    if config.rescale_betas_zero_snr:
        raise UnsupportedConfig(
            "scheduler config: rescale_betas_zero_snr is true, which the sampler"
            f" {sampler} does not implement; use another sampler"
        )
