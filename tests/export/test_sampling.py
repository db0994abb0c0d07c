"""Which sampler stands for a checkpoint's own scheduler."""

from __future__ import annotations

import pytest
from diffusers import DDIMScheduler, PNDMScheduler
from diffusion_engine.samplers import SAMPLERS

from export.errors import UnsupportedCheckpoint
from export.loading import _named_keys
from export.sampling import Sampling

STABLE_DIFFUSION = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_scheduler_that_is_a_sampler_is_the_default(name: str) -> None:
    sampler = SAMPLERS[name]
    config = STABLE_DIFFUSION | {"_class_name": sampler.diffusers_class, **sampler.overrides}
    sampling = Sampling.of(config)
    assert sampling.default == name
    assert name in sampling.names


def test_another_scheduler_takes_the_first_sampler_that_works() -> None:
    other = STABLE_DIFFUSION | {"_class_name": "OtherScheduler"}
    assert Sampling.of(other) == Sampling("ddim", tuple(SAMPLERS))
    # Without the key, DDIMScheduler would clip, which the engine does not.
    del other["clip_sample"]
    sampling = Sampling.of(other)
    assert "ddim" not in sampling.names
    assert sampling.default == sampling.names[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trained_betas": [0.1, 0.2]}, "trained_betas"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "shift"),
        ({"_class_name": "DDIMScheduler", "clip_sample": True}, "clip_sample"),
    ],
)
def test_a_key_that_the_engine_does_not_implement_is_named(change: dict[str, object], words: str) -> None:
    with pytest.raises(UnsupportedCheckpoint, match=words):
        Sampling.of(STABLE_DIFFUSION | change)


def test_only_keys_that_the_checkpoint_names_are_exported() -> None:
    # Other classes have other defaults for the keys that are left out, so what diffusers fills in must not be written.
    named = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    config = _named_keys(PNDMScheduler.from_config(named))
    assert {key: value for key, value in config.items() if not key.startswith("_")} == named
    # What StableDiffusionPipeline corrects counts as named.
    scheduler = DDIMScheduler.from_config(named)
    scheduler.register_to_config(clip_sample=False)
    assert _named_keys(scheduler)["clip_sample"] is False
