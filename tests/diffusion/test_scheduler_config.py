"""What a scheduler_config.json may say, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.scheduler_config import (
    BetaSchedule,
    PredictionType,
    SchedulerConfig,
    SigmaSpacing,
    TimestepSpacing,
)

MINIMAL: Mapping[str, object] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def test_reads_what_the_file_says() -> None:
    config = SchedulerConfig.from_json(
        {**MINIMAL, "prediction_type": "v_prediction", "timestep_spacing": "trailing", "steps_offset": 1}
    )
    assert config == SchedulerConfig(
        beta_schedule=BetaSchedule.SCALED_LINEAR,
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type=PredictionType.V_PREDICTION,
        timestep_spacing=TimestepSpacing.TRAILING,
        steps_offset=1,
    )


def test_what_is_absent_is_left_to_the_sampler() -> None:
    config = SchedulerConfig.from_json(MINIMAL)
    assert config.timestep_spacing is None
    assert config.clip_sample is None
    assert config.set_alpha_to_one is None


@pytest.mark.parametrize(
    ("flags", "spacing"),
    [
        ({}, SigmaSpacing.TIMESTEPS),
        ({"use_karras_sigmas": True, "use_exponential_sigmas": False}, SigmaSpacing.KARRAS),
        ({"use_karras_sigmas": False, "use_exponential_sigmas": True}, SigmaSpacing.EXPONENTIAL),
    ],
)
def test_sigma_spacing(flags: Mapping[str, object], spacing: SigmaSpacing) -> None:
    assert SchedulerConfig.from_json({**MINIMAL, **flags}).sigma_spacing is spacing


def test_refuses_two_sigma_spacings() -> None:
    with pytest.raises(UnsupportedConfig, match="use_karras_sigmas and use_exponential_sigmas are both true"):
        SchedulerConfig.from_json({**MINIMAL, "use_karras_sigmas": True, "use_exponential_sigmas": True})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("_class_name", "PNDMScheduler"),
        ("clip_sample_range", 2.0),
        ("sample_max_value", 2.0),
        ("skip_prk_steps", True),
        ("trained_betas", None),
        ("thresholding", False),
        ("interpolation_type", "linear"),
        ("use_karras_sigmas", None),
        ("use_exponential_sigmas", None),
        ("shift_terminal", None),
        ("variance_type", "fixed_small"),
        ("lambda_min_clipped", json.loads("-Infinity")),
    ],
)
def test_accepts_what_changes_nothing(key: str, value: object) -> None:
    assert SchedulerConfig.from_json({**MINIMAL, key: value}) == SchedulerConfig.from_json(MINIMAL)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trained_betas", [0.1, 0.2]),
        ("thresholding", True),
        ("beta_schedule", "sigmoid"),
        ("beta_schedule", None),
        ("prediction_type", "flow_prediction"),
        ("timestep_spacing", "sideways"),
        ("final_sigmas_type", "half"),
        ("interpolation_type", "log_linear"),
        ("timestep_type", "continuous"),
        ("use_beta_sigmas", True),
        ("use_exponential_sigmas", "yes"),
        ("use_karras_sigmas", 1),
        ("shift_terminal", 0.1),
        ("use_flow_sigmas", True),
        ("use_lu_lambdas", True),
        ("sigma_max", 80.0),
        ("lambda_min_clipped", -5.1),
        ("variance_type", "learned_range"),
        ("clip_sample", "yes"),
        ("steps_offset", -1),
        ("steps_offset", 0.5),
        ("num_train_timesteps", 0),
        ("num_train_timesteps", True),
        ("beta_start", 0.0),
        ("beta_end", 1.5),
        ("beta_end", float("nan")),
        ("beta_end", "0.012"),
        ("original_inference_steps", 2000),
        ("rescale_betas_zero_snr", True),
        ("base_shift", 0.5),
    ],
)
def test_refuses_by_name_what_is_not_implemented(key: str, value: object) -> None:
    with pytest.raises(UnsupportedConfig, match=key):
        SchedulerConfig.from_json({**MINIMAL, key: value})


@pytest.mark.parametrize("key", MINIMAL)
def test_names_a_missing_key(key: str) -> None:
    with pytest.raises(UnsupportedConfig, match=f"{key} is missing"):
        SchedulerConfig.from_json({other: value for other, value in MINIMAL.items() if other != key})
