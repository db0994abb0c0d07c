"""The engine's samplers, asked about a checkpoint's scheduler config."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The engine is a package inside a Triton backend's folder, which nobody installs.
sys.path.append(str(Path(__file__).parents[1] / "backends" / "diffusion"))

from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.samplers import SAMPLERS, build
from diffusion_engine.scheduler_config import SchedulerConfig

from export.errors import UnsupportedCheckpoint

# For checkpoints whose own scheduler is not among the samplers; Stable Diffusion's PNDM is such a one.
_FALLBACK: Final = "ddim"


@dataclass(frozen=True, slots=True)
class Sampling:
    """The samplers that work with a checkpoint, and the one that is its own."""

    default: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Sampling:
        """Reads a parsed `scheduler_config.json`; raises UnsupportedCheckpoint naming the key that is in the way."""
        default = _own_sampler(config)
        try:
            parsed = SchedulerConfig.from_json(config)
            _try(parsed, default)
        except UnsupportedConfig as error:
            raise UnsupportedCheckpoint(f"The checkpoint can't be served; {str(error).removesuffix('.')}.") from error
        return cls(default, tuple(name for name in SAMPLERS if _works(parsed, name)))


def _own_sampler(config: Mapping[str, object]) -> str:
    for name, sampler in SAMPLERS.items():
        if config.get("_class_name") == sampler.diffusers_class and all(
            config.get(key, value) == value for key, value in sampler.overrides.items()
        ):
            return name
    return _FALLBACK


def _works(config: SchedulerConfig, name: str) -> bool:
    try:
        _try(config, name)
    except UnsupportedConfig:
        return False
    return True


def _try(config: SchedulerConfig, name: str) -> None:
    """Raises UnsupportedConfig where the sampler can't work with this config, whatever the number of steps."""
    with contextlib.suppress(InvalidRequest):
        build(config, name, 1)
