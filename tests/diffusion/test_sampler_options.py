"""What checkpoints say about their schedule, against diffusers: sigma spacings and defaults of keys left out."""

from __future__ import annotations

import json
from collections.abc import Mapping

import diffusers
import numpy as np
import pytest
import torch
from diffusion_engine.scheduler_config import SchedulerConfig

from tests.diffusion.diffusers_oracle import (
    CONFIGS,
    DEMO,
    TOLERANCE,
    WITHOUT_ZERO_SNR,
    Array,
    by_diffusers,
    by_table,
    relative_error,
    table_of,
)

SPACINGS = ("use_karras_sigmas", "use_exponential_sigmas")
# Samplers whose diffusers classes have the spacings; with `dpmpp_2m` the name decides about Karras' sigmas.
RESPACED = ("euler", "heun", "lms", "dpmpp_2m_sde", "unipc")


def assert_equals_diffusers(config: Mapping[str, object], sampler: str, steps: int) -> None:
    expected = by_diffusers(config, sampler, steps, dtype=torch.float64)
    run = by_table(table_of(config, sampler, steps), dtype=np.float64)
    # diffusers interpolates fractional timesteps in float32: two logarithms, good to an ulp or two (2.4e-7 each; which,
    # depends on the processor), over their distance of about 0.003 are off by some 5e-4.
    np.testing.assert_allclose(run.timesteps, expected.timesteps, rtol=0, atol=1e-3)
    assert relative_error(run, expected) <= TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("key", SPACINGS)
@pytest.mark.parametrize("sampler", RESPACED)
@pytest.mark.parametrize("steps", [1, 2, 7, 20])
def test_respaced_sigmas_equal_diffusers(name: str, key: str, sampler: str, steps: int) -> None:
    config = CONFIGS[name] | {"prediction_type": "v_prediction"}
    if name == "zero_snr" and sampler in WITHOUT_ZERO_SNR:
        return
    assert_equals_diffusers(config | {key: True}, sampler, steps)


@pytest.mark.parametrize("key", SPACINGS)
@pytest.mark.parametrize("sampler", RESPACED)
def test_respaced_sigmas_make_a_difference(key: str, sampler: str) -> None:
    one, other = table_of(DEMO, sampler, 7), table_of(DEMO | {key: True}, sampler, 7)
    assert relative_error(by_table(other), by_table(one)) > 100 * TOLERANCE


@pytest.mark.parametrize("key", SPACINGS)
@pytest.mark.parametrize("sampler", ["ddim", "euler_a", "pndm", "dpmpp_2m", "dpmpp_2m_karras", "lcm", "tcd"])
def test_other_samplers_do_with_a_spacing_what_diffusers_does(key: str, sampler: str) -> None:
    assert_equals_diffusers(DEMO | {key: True}, sampler, 7)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_2m_sde", "unipc"])
def test_exponential_timesteps_are_cut_as_in_diffusers(sampler: str) -> None:
    config = DEMO | {"use_exponential_sigmas": True}
    for steps in range(1, 51):
        assert_equals_diffusers(config, sampler, steps)


@pytest.mark.parametrize("sampler", ["ddim", "pndm"])
@pytest.mark.parametrize("named", [True, False, None])
def test_alpha_of_the_last_step(sampler: str, named: bool | None) -> None:
    config: dict[str, object] = {key: value for key, value in DEMO.items() if key != "set_alpha_to_one"}
    if named is not None:
        config["set_alpha_to_one"] = named
    # The last step of these goes below timestep 0.
    assert_equals_diffusers(config | {"steps_offset": 0}, sampler, 7)


def last_latents(config: Mapping[str, object], sampler: str) -> Array:
    return by_table(table_of(config, sampler, 7)).latents


def test_alpha_of_the_last_step_makes_a_difference() -> None:
    configs = [DEMO | {"steps_offset": 0, "set_alpha_to_one": one} for one in (False, True)]
    for sampler in ("ddim", "pndm"):
        assert abs(last_latents(configs[0], sampler) - last_latents(configs[1], sampler)).max() > 1e-3


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("sampler", ["heun", "lms", "pndm", "unipc", "dpmpp_2m_sde"])
@pytest.mark.parametrize("offset", [0, 3])
def test_timestep_spacings(spacing: str, sampler: str, offset: int) -> None:
    assert_equals_diffusers(DEMO | {"timestep_spacing": spacing, "steps_offset": offset}, sampler, 7)


@pytest.mark.parametrize(
    "kind",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "HeunDiscreteScheduler",
        "LCMScheduler",
        "LMSDiscreteScheduler",
        "PNDMScheduler",
        "TCDScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_reads_every_key_that_diffusers_saves(kind: str) -> None:
    saved = json.loads(getattr(diffusers, kind)(beta_schedule="scaled_linear").to_json_string())
    assert SchedulerConfig.from_json(saved).num_train_timesteps == 1000
