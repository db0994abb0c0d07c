"""Samplers: from a scheduler config, a sampler's name, a step count and a strength to a coefficient table.

One file for each family of samplers; a new sampler is one function and one line in `SAMPLERS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from diffusion_engine.coefficients import CoefficientTable
from diffusion_engine.errors import InvalidRequest
from diffusion_engine.samplers.ddim import ddim
from diffusion_engine.samplers.dpmpp import dpmpp_2m, dpmpp_2m_karras, dpmpp_2m_sde
from diffusion_engine.samplers.euler import euler, euler_a
from diffusion_engine.samplers.heun import heun
from diffusion_engine.samplers.lcm import lcm
from diffusion_engine.samplers.lms import lms
from diffusion_engine.samplers.pndm import pndm
from diffusion_engine.samplers.tcd import tcd
from diffusion_engine.samplers.unipc import unipc
from diffusion_engine.scheduler_config import SchedulerConfig


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler and the diffusers scheduler it equals.

    That is `<diffusers_class>.from_config(pipe.scheduler.config, **overrides)`, with eta 0. `table` makes the rows of
    a config, a step count and the first step that is taken.
    """

    diffusers_class: str
    overrides: Mapping[str, object]
    table: Callable[[SchedulerConfig, int, int], CoefficientTable]


_MIDPOINT: Final[Mapping[str, object]] = {"solver_order": 2, "solver_type": "midpoint"}
_BH2: Final[Mapping[str, object]] = {
    "solver_order": 2,
    "solver_type": "bh2",
    "predict_x0": True,
    "disable_corrector": [],
    "solver_p": None,
}

SAMPLERS: Final[Mapping[str, Sampler]] = MappingProxyType(
    {
        "ddim": Sampler("DDIMScheduler", {}, ddim),
        "euler": Sampler("EulerDiscreteScheduler", {}, euler),
        "euler_a": Sampler("EulerAncestralDiscreteScheduler", {}, euler_a),
        "heun": Sampler("HeunDiscreteScheduler", {}, heun),
        "lms": Sampler("LMSDiscreteScheduler", {}, lms),
        "pndm": Sampler("PNDMScheduler", {"skip_prk_steps": True}, pndm),
        "dpmpp_2m": Sampler(
            "DPMSolverMultistepScheduler",
            {**_MIDPOINT, "algorithm_type": "dpmsolver++", "use_karras_sigmas": False},
            dpmpp_2m,
        ),
        "dpmpp_2m_karras": Sampler(
            "DPMSolverMultistepScheduler",
            {
                **_MIDPOINT,
                "algorithm_type": "dpmsolver++",
                "use_karras_sigmas": True,
                "use_exponential_sigmas": False,
            },
            dpmpp_2m_karras,
        ),
        "dpmpp_2m_sde": Sampler(
            "DPMSolverMultistepScheduler", {**_MIDPOINT, "algorithm_type": "sde-dpmsolver++"}, dpmpp_2m_sde
        ),
        "unipc": Sampler("UniPCMultistepScheduler", _BH2, unipc),
        "lcm": Sampler("LCMScheduler", {}, lcm),
        "tcd": Sampler("TCDScheduler", {}, tcd),
    }
)


def build(config: SchedulerConfig, sampler: str, steps: int, strength: float = 1.0) -> CoefficientTable:
    """The coefficient table of `sampler`; pure, and worth caching (milliseconds).

    Of `steps` steps the last `int(steps*strength)` are taken, with `strength` above 0 and up to 1, as in
    `get_timesteps` of diffusers' StableDiffusionImg2ImgPipeline. Raises `InvalidRequest` for an unknown sampler, a
    step count outside what it can do with this config and a strength that is out of range or leaves no step, and
    `UnsupportedConfig` where the config asks this sampler for something the engine does not implement.
    """
    if sampler not in SAMPLERS:
        raise InvalidRequest(f"the sampler {sampler!r} is not known; use one of {', '.join(SAMPLERS)}")
    if not 1 <= steps <= config.num_train_timesteps:
        raise InvalidRequest(f"steps must be between 1 and {config.num_train_timesteps}, got {steps}")
    if not 0 < strength <= 1:
        raise InvalidRequest(f"the strength must be above 0 and at most 1, got {strength}")
    taken = int(steps * strength)
    if taken < 1:
        raise InvalidRequest(
            f"a strength of {strength} leaves none of {steps} steps to take; use more steps or a strength of at least"
            f" {math.ceil(100 / steps) / 100}"
        )
    return SAMPLERS[sampler].table(config, steps, steps - taken)
