"""Coefficient tables in the form that the batched step reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, auto
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from diffusion_engine.coefficients import CoefficientTable
from diffusion_engine.samplers import build
from diffusion_engine.scheduler_config import SchedulerConfig

_CACHED_TABLES = 256


class Column(IntEnum):
    """Columns of `StepTable.coefficients`, named as in `CoefficientTable`."""

    C_IN = 0
    P = auto()
    Q = auto()
    U = auto()
    V = auto()
    W0 = auto()
    W1 = auto()
    W2 = auto()
    W3 = auto()
    A = auto()
    S = auto()
    B0 = auto()
    B1 = auto()
    B2 = auto()
    B3 = auto()
    N = auto()


@dataclass(frozen=True, slots=True)
class StepTable:
    """A schedule's coefficients as one float32 row per UNet evaluation, `coefficients` being [evaluations, Column].

    `estimates` are the columns X and Y, `known` the columns known_signal and known_noise of `CoefficientTable`.
    """

    timesteps: npt.NDArray[np.float32]
    coefficients: npt.NDArray[np.float32]
    push: tuple[bool, ...]
    draws_noise: tuple[bool, ...]
    history: int
    uses_saved: bool
    init_noise_sigma: float
    init_signal: float
    init_noise: float
    estimates: npt.NDArray[np.float32]
    known: npt.NDArray[np.float32]

    @classmethod
    def pack(cls, table: CoefficientTable) -> StepTable:
        """Rounds the table, made in float64, to the precision that the latents have."""
        columns = (
            table.c_in,
            table.P,
            table.Q,
            table.U,
            table.V,
            *table.W.T,
            table.A,
            table.S,
            *table.B.T,
            table.N,
        )
        return cls(
            timesteps=table.timesteps,
            coefficients=np.stack(columns, axis=1).astype(np.float32),
            push=tuple(table.push.tolist()),
            draws_noise=tuple(table.draws_noise.tolist()),
            history=table.history,
            uses_saved=table.uses_saved,
            init_noise_sigma=table.init_noise_sigma,
            init_signal=table.init_signal,
            init_noise=table.init_noise,
            estimates=np.stack((table.X, table.Y), axis=1).astype(np.float32),
            known=np.stack((table.known_signal, table.known_noise), axis=1).astype(np.float32),
        )

    @property
    def evaluations(self) -> int:
        """UNet evaluations in the whole schedule."""
        return len(self.timesteps)


def tables_of(config: SchedulerConfig) -> Callable[[str, int, float], StepTable]:
    """A cached function from (sampler, steps, strength) to the table, for one checkpoint's scheduler config."""

    @lru_cache(_CACHED_TABLES)
    def table(sampler: str, steps: int, strength: float) -> StepTable:
        return StepTable.pack(build(config, sampler, steps, strength))

    return table
