"""The scheduler config of a checkpoint: what `scheduler_config.json` says, typed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from diffusion_engine.errors import UnsupportedConfig


class BetaSchedule(StrEnum):
    """How the training noise grows with the timestep."""

    LINEAR = "linear"
    SCALED_LINEAR = "scaled_linear"
    SQUAREDCOS_CAP_V2 = "squaredcos_cap_v2"


class PredictionType(StrEnum):
    """What the UNet was trained to put out: the noise, the velocity or the picture."""

    EPSILON = "epsilon"
    V_PREDICTION = "v_prediction"
    SAMPLE = "sample"


class TimestepSpacing(StrEnum):
    """How the steps are spread over the training timesteps (Lin et al. 2023, table 2)."""

    LEADING = "leading"
    LINSPACE = "linspace"
    TRAILING = "trailing"


class SigmaSpacing(StrEnum):
    """How the sigmas of the steps are spread: as the timesteps have them, or over the same range in another way."""

    TIMESTEPS = "timesteps"
    KARRAS = "karras"
    EXPONENTIAL = "exponential"


class FinalSigma(StrEnum):
    """Where a sampler that works on sigmas ends: at no noise, or at the smallest sigma of training."""

    ZERO = "zero"
    SIGMA_MIN = "sigma_min"


# Keys that change the picture in ways the engine does not implement, and the values with which they don't.
_NEUTRAL: Final[Mapping[str, tuple[object, ...]]] = {
    "trained_betas": (None,),
    "thresholding": (False, None),
    "use_beta_sigmas": (False, None),
    "use_lu_lambdas": (False, None),
    "use_flow_sigmas": (False, None),
    "use_dynamic_shifting": (False, None),
    "shift_terminal": (None,),
    "interpolation_type": ("linear",),
    "timestep_type": ("discrete",),
    "sigma_min": (None,),
    "sigma_max": (None,),
    "lambda_min_clipped": (-math.inf, None),
    "variance_type": (None, "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
}

# Keys without effect here: provenance, details of what is refused above, details of diffusers classes that the engine
# does not build, and what the name of a sampler decides (see `samplers.SAMPLERS`).
_IGNORED: Final = frozenset(
    {
        "_class_name",
        "_diffusers_version",
        "algorithm_type",
        "clip_sample_range",
        "disable_corrector",
        "dynamic_thresholding_ratio",
        "flow_shift",
        "predict_x0",
        "sample_max_value",
        "skip_prk_steps",
        "solver_order",
        "solver_p",
        "solver_type",
        "time_shift_type",
    }
)

_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """One checkpoint's noise schedule and sampling defaults, keys and meaning as in diffusers.

    `timestep_spacing`, `clip_sample` and `set_alpha_to_one` are None where the file does not name them: diffusers'
    classes differ in their defaults there, so the sampler decides. A sampler whose diffusers class does not have
    `use_karras_sigmas`, `use_exponential_sigmas` or `final_sigmas_type` goes by the timesteps, as there.
    """

    beta_schedule: BetaSchedule
    beta_start: float
    beta_end: float
    num_train_timesteps: int = 1000
    prediction_type: PredictionType = PredictionType.EPSILON
    timestep_spacing: TimestepSpacing | None = None
    steps_offset: int = 0
    set_alpha_to_one: bool | None = None
    clip_sample: bool | None = None
    rescale_betas_zero_snr: bool = False
    use_karras_sigmas: bool = False
    use_exponential_sigmas: bool = False
    final_sigmas_type: FinalSigma = FinalSigma.ZERO
    lower_order_final: bool = True
    euler_at_final: bool = False
    original_inference_steps: int = 50
    timestep_scaling: float = 10.0

    @classmethod
    def from_json(cls, mapping: Mapping[str, object]) -> SchedulerConfig:
        """The config in a parsed `scheduler_config.json`.

        Raises `UnsupportedConfig`, naming the key, for a value the engine does not implement, a key it does not know
        and a missing beta schedule.
        """
        for key, neutral in _NEUTRAL.items():
            if key in mapping and mapping[key] not in neutral:
                raise _unsupported(key, mapping[key], neutral)
        fields = frozenset(cls.__dataclass_fields__)
        for key in mapping:
            if key not in fields and key not in _NEUTRAL and key not in _IGNORED:
                raise UnsupportedConfig(
                    f"scheduler config: the key {key} is not known; the checkpoint's scheduler may be of another kind"
                    " than the engine implements"
                )
        config = cls(
            beta_schedule=_choice(mapping, "beta_schedule", BetaSchedule, None),
            beta_start=_number(mapping, "beta_start", None),
            beta_end=_number(mapping, "beta_end", None),
            num_train_timesteps=_count(mapping, "num_train_timesteps", 1000, least=1),
            prediction_type=_choice(mapping, "prediction_type", PredictionType, PredictionType.EPSILON),
            timestep_spacing=(
                _choice(mapping, "timestep_spacing", TimestepSpacing, None) if "timestep_spacing" in mapping else None
            ),
            steps_offset=_count(mapping, "steps_offset", 0, least=0),
            set_alpha_to_one=_flag(mapping, "set_alpha_to_one", False) if "set_alpha_to_one" in mapping else None,
            clip_sample=_flag(mapping, "clip_sample", False) if "clip_sample" in mapping else None,
            rescale_betas_zero_snr=_flag(mapping, "rescale_betas_zero_snr", False),
            # Older diffusers saves null where these are not set.
            use_karras_sigmas=_flag_or_null(mapping, "use_karras_sigmas"),
            use_exponential_sigmas=_flag_or_null(mapping, "use_exponential_sigmas"),
            final_sigmas_type=_choice(mapping, "final_sigmas_type", FinalSigma, FinalSigma.ZERO),
            lower_order_final=_flag(mapping, "lower_order_final", True),
            euler_at_final=_flag(mapping, "euler_at_final", False),
            original_inference_steps=_count(mapping, "original_inference_steps", 50, least=1),
            timestep_scaling=_number(mapping, "timestep_scaling", 10.0),
        )
        config._check()
        return config

    @property
    def sigma_spacing(self) -> SigmaSpacing:
        """What `use_karras_sigmas` and `use_exponential_sigmas` say."""
        if self.use_karras_sigmas:
            return SigmaSpacing.KARRAS
        return SigmaSpacing.EXPONENTIAL if self.use_exponential_sigmas else SigmaSpacing.TIMESTEPS

    def _check(self) -> None:
        if not 0 < self.beta_start <= self.beta_end < 1:
            raise UnsupportedConfig(
                "scheduler config: beta_start and beta_end must satisfy 0 < beta_start <= beta_end < 1, got"
                f" {self.beta_start} and {self.beta_end}"
            )
        if self.original_inference_steps > self.num_train_timesteps:
            raise UnsupportedConfig(
                f"scheduler config: original_inference_steps ({self.original_inference_steps}) is larger than"
                f" num_train_timesteps ({self.num_train_timesteps})"
            )
        if self.use_karras_sigmas and self.use_exponential_sigmas:
            raise UnsupportedConfig(
                "scheduler config: use_karras_sigmas and use_exponential_sigmas are both true; set one of them to false"
            )
        if self.rescale_betas_zero_snr and self.prediction_type is PredictionType.EPSILON:
            raise UnsupportedConfig(
                "scheduler config: rescale_betas_zero_snr needs prediction_type v_prediction or sample; at the last"
                " timestep there is nothing but noise, so predicting it says nothing about the picture"
            )


def _unsupported(key: str, value: object, accepted: tuple[object, ...]) -> UnsupportedConfig:
    named = " or ".join(repr(str(choice) if isinstance(choice, str) else choice) for choice in accepted)
    return UnsupportedConfig(f"scheduler config: {key} is {value!r}; the engine implements {named}")


def _choice(mapping: Mapping[str, object], key: str, kind: type[_Choice], default: _Choice | None) -> _Choice:
    value = _value(mapping, key, default)
    for choice in kind:
        if choice == value:
            return choice
    raise _unsupported(key, value, tuple(kind))


def _flag(mapping: Mapping[str, object], key: str, default: bool) -> bool:
    value = _value(mapping, key, default)
    if not isinstance(value, bool):
        raise _unsupported(key, value, (False, True))
    return value


def _flag_or_null(mapping: Mapping[str, object], key: str) -> bool:
    return mapping.get(key) is not None and _flag(mapping, key, False)


def _count(mapping: Mapping[str, object], key: str, default: int, *, least: int) -> int:
    value = _value(mapping, key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UnsupportedConfig(f"scheduler config: {key} must be a whole number >= {least}, got {value!r}")
    return value


def _number(mapping: Mapping[str, object], key: str, default: float | None) -> float:
    value = _value(mapping, key, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise UnsupportedConfig(f"scheduler config: {key} must be a number, got {value!r}")
    return float(value)


def _value(mapping: Mapping[str, object], key: str, default: object) -> object:
    if key not in mapping and default is None:
        raise UnsupportedConfig(f"scheduler config: the key {key} is missing")
    return mapping.get(key, default)
