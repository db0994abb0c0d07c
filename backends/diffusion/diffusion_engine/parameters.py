"""Reading values out of a Triton model's string parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.step_cost import FEWEST_ROWS


def text(parameters: Mapping[str, str], key: str) -> str:
    """The parameter's text; raises UnsupportedConfig where it is missing."""
    if key not in parameters:
        raise UnsupportedConfig(f"config.pbtxt lacks the parameter {key!r}; export the family again.")
    return parameters[key]


def integer(parameters: Mapping[str, str], key: str) -> int:
    """The parameter as an integer; raises UnsupportedConfig where it is missing or not one."""
    value = text(parameters, key)
    try:
        return int(value)
    except ValueError:
        raise UnsupportedConfig(f"The parameter {key!r} is {value!r}; it must be an integer.") from None


def number(parameters: Mapping[str, str], key: str) -> float:
    """The parameter as a number; raises UnsupportedConfig where it is missing or not one."""
    value = text(parameters, key)
    try:
        return float(value)
    except ValueError:
        raise UnsupportedConfig(f"The parameter {key!r} is {value!r}; it must be a number.") from None


def texts(parameters: Mapping[str, str], key: str) -> tuple[str, ...]:
    """The parameter as a JSON list of texts; raises UnsupportedConfig where it is missing or not one."""
    value = text(parameters, key)
    try:
        items = json.loads(value)
    except json.JSONDecodeError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UnsupportedConfig(f"The parameter {key!r} is {value!r}; it must be a JSON list of texts.")
    return tuple(items)


@dataclass(frozen=True, slots=True)
class EngineParameters:
    """How one UNet is run: its latents' shape and scale, and the bounds on work taken in.

    `scaling_factor` is the VAE's: what its latents are multiplied by for the UNet.
    `max_rows` bounds the UNet rows of one step at the native size (a guided picture takes two); None leaves it to the
    measured cost of a step. `row_limit` bounds them at every size: what the graph's engine was built for, if anything.
    `max_waiting` bounds the pictures waiting.
    """

    latent_channels: int
    vae_scale_factor: int
    scaling_factor: float
    max_rows: int | None
    max_waiting: int
    intra_op_thread_count: int
    providers: tuple[str, ...]
    row_limit: int | None = None

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> EngineParameters:
        """Reads and checks the model's parameters; raises UnsupportedConfig naming the one that is wrong."""
        engine = cls(
            latent_channels=integer(parameters, "latent_channels"),
            vae_scale_factor=integer(parameters, "vae_scale_factor"),
            scaling_factor=number(parameters, "scaling_factor"),
            max_rows=integer(parameters, "max_rows") if "max_rows" in parameters else None,
            max_waiting=integer(parameters, "max_waiting"),
            intra_op_thread_count=integer(parameters, "intra_op_thread_count"),
            providers=tuple(text(parameters, "providers").split(",")),
            row_limit=integer(parameters, "row_limit") if "row_limit" in parameters else None,
        )
        for name, rows in (("max_rows", engine.max_rows), ("row_limit", engine.row_limit)):
            if rows is not None and rows < FEWEST_ROWS:
                raise UnsupportedConfig(
                    f"{name} is {rows}; it must be at least {FEWEST_ROWS}, the rows of two guided pictures."
                )
        if engine.max_waiting < 1:
            raise UnsupportedConfig(f"max_waiting is {engine.max_waiting}; it must be at least 1.")
        return engine
