"""The engine's samplers, asked about a checkpoint's scheduler config."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The engine is a package inside a Triton backend's folder, which nobody installs.
sys.path.append(str(Path(__file__).parents[1] / "backends" / "diffusion"))

from diffusion_engine import nvidia as nvidia  # For the export to TensorRT.
from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.samplers import SAMPLERS, build
from diffusion_engine.scheduler_config import SchedulerConfig

from export.errors import UnsupportedCheckpoint


@dataclass(frozen=True, slots=True)
class Sampling:
    """The samplers that work with a checkpoint, and the one to use where nobody asks for another.

    That is the one that equals the checkpoint's own scheduler; where there is none, it is the first that works.
    """

    default: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Sampling:
        """Reads a parsed `scheduler_config.json`; raises UnsupportedCheckpoint naming the key that is in the way."""
        try:
            parsed = SchedulerConfig.from_json(config)
            own = _own_sampler(config)
            if own is not None:
                _try(parsed, own)
        except UnsupportedConfig as error:
            raise UnsupportedCheckpoint(f"The checkpoint can't be served; {str(error).removesuffix('.')}.") from error
        names = tuple(name for name in SAMPLERS if _works(parsed, name))
        if not names:
            raise UnsupportedCheckpoint("The checkpoint can't be served; no sampler works with its scheduler config.")
        return cls(own or names[0], names)


def _own_sampler(config: Mapping[str, object]) -> str | None:
    for name, sampler in SAMPLERS.items():
        if config.get("_class_name") == sampler.diffusers_class and all(
            config.get(key, value) == value for key, value in sampler.overrides.items()
        ):
            return name
    return None


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
