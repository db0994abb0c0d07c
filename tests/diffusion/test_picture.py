"""Settings of one picture against its family's limits."""

import dataclasses
import json

import pytest
from diffusion_engine.errors import InvalidRequest, UnsupportedConfig
from diffusion_engine.parameters import EngineParameters
from diffusion_engine.picture import Family, Wishes

PARAMETERS = {
    "native_width": "128",
    "native_height": "96",
    "min_size": "64",
    "max_size": "256",
    "size_multiple": "32",
    "default_steps": "20",
    "max_steps": "100",
    "default_guidance_scale": "5",
    "max_guidance_scale": "30",
    "default_sampler": "ddim",
    "samplers": json.dumps(["ddim", "euler"]),
    "latent_channels": "4",
    "vae_scale_factor": "8",
    "scaling_factor": "0.18215",
    "max_rows": "16",
    "max_waiting": "256",
    "intra_op_thread_count": "0",
    "providers": "cpu",
}


def test_absent_settings_take_the_familys_defaults() -> None:
    picture = Family.from_parameters(PARAMETERS).picture(Wishes(seed=1))
    assert (picture.width, picture.height, picture.steps, picture.guidance_scale) == (128, 96, 20, 5.0)
    assert (picture.sampler, picture.priority, picture.guided) == ("ddim", 2, True)


def test_families_from_before_guidance_was_rescaled_do_not_rescale_it() -> None:
    assert Family.from_parameters(PARAMETERS).picture(Wishes(seed=1)).guidance_rescale == 0
    rescaling = Family.from_parameters(PARAMETERS | {"default_guidance_rescale": "0.7"})
    assert rescaling.picture(Wishes(seed=1)).guidance_rescale == 0.7
    assert rescaling.picture(Wishes(seed=1, guidance_rescale=0.0)).guidance_rescale == 0


@pytest.mark.parametrize(("scale", "guided"), [(0.0, False), (1.0, False), (1.01, True)])
def test_guidance_of_one_or_less_is_off(scale: float, guided: bool) -> None:
    assert Family.from_parameters(PARAMETERS).picture(Wishes(seed=1, guidance_scale=scale)).guided is guided


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        (Wishes(seed=1, width=130), "WIDTH is 130; it must be a multiple of 32 from 64 to 256."),
        (Wishes(seed=1, height=288), "HEIGHT is 288; it must be a multiple of 32 from 64 to 256."),
        (Wishes(seed=1, steps=0), "STEPS is 0; it must be from 1 to 100."),
        (Wishes(seed=1, guidance_rescale=1.5), "GUIDANCE_RESCALE is 1.5; it must be from 0 to 1."),
        (Wishes(seed=1, time_ids=(float("inf"),) * 6), "TIME_IDS is [inf, inf, inf, inf, inf, inf]; it must be finite"),
        (Wishes(seed=1, guidance_scale=float("nan")), "GUIDANCE_SCALE is nan; it must be from 0 to 30"),
        (Wishes(seed=1, guidance_scale=float("inf")), "GUIDANCE_SCALE is inf; it must be from 0 to 30"),
        (Wishes(seed=-1), "SEED is -1; it must be from 0 to 4294967295."),
        (Wishes(seed=2**32), "SEED is 4294967296; it must be from 0 to 4294967295."),
        (Wishes(seed=1, sampler="heunish"), "SAMPLER is 'heunish'; it must be one of ddim, euler."),
        (Wishes(seed=1, priority=4), "PRIORITY is 4; it must be from 1 to 3."),
        (
            Wishes(seed=1, variation_seed=2, variation_strength=1.5),
            "VARIATION_STRENGTH is 1.5; it must be from 0 to 1.",
        ),
        (Wishes(seed=1, variation_strength=0.5), "VARIATION_STRENGTH needs a VARIATION_SEED."),
        (Wishes(seed=1, strength=0.0), "STRENGTH is 0.0; it must be above 0 and at most 1."),
        (Wishes(seed=1, strength=float("nan")), "STRENGTH is nan; it must be above 0 and at most 1."),
        (Wishes(seed=1, guidance_interval=(0.7, 0.2)), "GUIDANCE_INTERVAL is [0.7, 0.2]"),
        (Wishes(seed=1, guidance_interval=(float("nan"), 1)), "GUIDANCE_INTERVAL is [nan, 1]"),
    ],
)
def test_what_is_out_of_range_is_named(wishes: Wishes, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Family.from_parameters(PARAMETERS).picture(wishes)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("max_rows", "2", "max_rows is 2; it must be at least 4"),
        ("max_rows", "many", "The parameter 'max_rows' is 'many'; it must be an integer."),
        ("max_waiting", "0", "max_waiting is 0"),
    ],
)
def test_wrong_engine_parameters_are_named(key: str, value: str, sentence: str) -> None:
    with pytest.raises(UnsupportedConfig) as caught:
        EngineParameters.from_parameters({**PARAMETERS, key: value})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "key", [field.name for field in dataclasses.fields(Family) if field.name != "default_guidance_rescale"]
)
def test_a_missing_parameter_is_named(key: str) -> None:
    parameters = {name: value for name, value in PARAMETERS.items() if name != key}
    with pytest.raises(UnsupportedConfig, match=f"lacks the parameter '{key}'"):
        Family.from_parameters(parameters)
