"""Samplers: from a scheduler config, a sampler's name and a step count to a coefficient table.

One file for each family of samplers; a new sampler is one function and one line in `SAMPLERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from diffusion_engine.coefficients import CoefficientTable
from diffusion_engine.errors import InvalidRequest
from diffusion_engine.samplers.ddim import ddim
from diffusion_engine.samplers.dpmpp import dpmpp_2m
from diffusion_engine.samplers.euler import euler, euler_a
from diffusion_engine.samplers.lcm import lcm
from diffusion_engine.scheduler_config import SchedulerConfig


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler and the diffusers scheduler it equals.

    That is `<diffusers_class>.from_config(pipe.scheduler.config, **overrides)`, with eta 0.
    """

    diffusers_class: str
    overrides: Mapping[str, object]
    table: Callable[[SchedulerConfig, int], CoefficientTable]


def _dpmpp_2m(*, karras: bool) -> Sampler:
    overrides = {
        "algorithm_type": "dpmsolver++",
        "solver_order": 2,
        "solver_type": "midpoint",
        "use_karras_sigmas": karras,
    }
    return Sampler("DPMSolverMultistepScheduler", overrides, partial(dpmpp_2m, karras=karras))


SAMPLERS: Final[Mapping[str, Sampler]] = MappingProxyType(
    {
        "ddim": Sampler("DDIMScheduler", {}, ddim),
        "euler": Sampler("EulerDiscreteScheduler", {"use_karras_sigmas": False}, euler),
        "euler_a": Sampler("EulerAncestralDiscreteScheduler", {}, euler_a),
        "dpmpp_2m": _dpmpp_2m(karras=False),
        "dpmpp_2m_karras": _dpmpp_2m(karras=True),
        "lcm": Sampler("LCMScheduler", {}, lcm),
    }
)


def build(config: SchedulerConfig, sampler: str, steps: int) -> CoefficientTable:
    """The coefficient table of `steps` steps of `sampler`; pure, and worth caching (milliseconds).

    Raises `InvalidRequest` for an unknown sampler or a step count outside what it can do with this config, and
    `UnsupportedConfig` where the config asks this sampler for something the engine does not implement.
    """
    if sampler not in SAMPLERS:
        raise InvalidRequest(f"the sampler {sampler!r} is not known; use one of {', '.join(SAMPLERS)}")
    if not 1 <= steps <= config.num_train_timesteps:
        raise InvalidRequest(f"steps must be between 1 and {config.num_train_timesteps}, got {steps}")
    return SAMPLERS[sampler].table(config, steps)
