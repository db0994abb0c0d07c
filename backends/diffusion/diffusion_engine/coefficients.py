"""The coefficient table: a sampler's whole run as numbers, one row for each UNet evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# d_0 (of this evaluation) and the three before it; a fourth-order linear multistep method needs no more.
TERMS: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class CoefficientTable:
    """What every step of one generation computes. With `m` the UNet's output (after guidance) a step is:

        x_in   = c_in*x
        d_0    = P*x + Q*m(x_in, timestep)
        saved' = U*x + V*saved + sum_k W[k]*d_k
        x'     = A*x + S*saved + sum_k B[k]*d_k + N*noise       (both right sides use the old x and saved)

    and then, where `push` holds, d_0 goes in front of the history, so that it is d_1 of the next step. A row has
    coefficient 0 for what no earlier step has saved or pushed. X*x + Y*m is x0 as predicted at this step: the latents
    without their noise.

    Coefficients are float64 vectors of n rows, `W` and `B` are [n, 4]; all arrays are read-only.
    `draws_noise` says that the step takes a draw from the noise stream, which diffusers does in some steps where N
    is 0; leaving it out would shift the draws after it.

    The initial latents are, with unit noise drawn before the first step,

        init_noise_sigma*noise                        for a picture from noise alone
        init_signal*clean + init_noise*noise          for one from the clean latents of another picture

    and where a mask keeps parts of that other picture, these have the latents
    known_signal*clean + known_noise*noise after the step, with the same noise (`add_noise` of diffusers' schedulers at
    the timestep of the next evaluation; the clean latents after the last).
    """

    timesteps: npt.NDArray[np.float32]
    init_noise_sigma: float
    init_signal: float
    init_noise: float
    c_in: Vector
    P: Vector
    Q: Vector
    U: Vector
    V: Vector
    W: Vector
    A: Vector
    S: Vector
    B: Vector
    N: Vector
    X: Vector
    Y: Vector
    known_signal: Vector
    known_noise: Vector
    push: npt.NDArray[np.bool_]
    draws_noise: npt.NDArray[np.bool_]

    @property
    def evaluations(self) -> int:
        """How many UNet evaluations the run takes; more than the steps asked for with some samplers."""
        return len(self.timesteps)

    @property
    def history(self) -> int:
        """How many past d's a step looks back at, 0..3."""
        used = np.flatnonzero((self.B != 0).any(axis=0) | (self.W != 0).any(axis=0))
        return int(used.max(initial=0))

    @property
    def uses_saved(self) -> bool:
        """Whether any step reads `saved`, so that a generation must hold it."""
        return bool(self.S.any() or self.V.any())


def tabulate(
    timesteps: npt.ArrayLike,
    *,
    init_noise_sigma: float,
    level: tuple[npt.ArrayLike, npt.ArrayLike],
    prediction: tuple[npt.ArrayLike, npt.ArrayLike],
    A: npt.ArrayLike,
    B: tuple[npt.ArrayLike, ...],
    d: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    c_in: npt.ArrayLike = 1.0,
    U: npt.ArrayLike = 0.0,
    V: npt.ArrayLike = 0.0,
    W: tuple[npt.ArrayLike, ...] = (),
    S: npt.ArrayLike = 0.0,
    N: npt.ArrayLike = 0.0,
    push: npt.ArrayLike = False,
    draws_noise: npt.ArrayLike = False,
    first: int = 0,
) -> CoefficientTable:
    """The table of the rows from `first` on; the rows before it are left out.

    `level` is the pair (signal, noise) of the latents that each row starts from; `prediction` the pair (X, Y) and `d`
    the pair (P, Q), the same unless told otherwise; `B` and `W` hold the columns of d_0, d_1, .. that are used. Every
    coefficient is one value for all rows or a vector with a value for each, those before `first` included.
    """
    fed = np.array(timesteps, np.float32)
    rows = len(fed)

    def column(values: npt.ArrayLike) -> Vector:
        return _frozen(np.broadcast_to(np.asarray(values, np.float64), rows)[first:].copy())

    def flags(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        held = np.broadcast_to(np.asarray(values, np.bool_), rows)[first:].copy()
        held.setflags(write=False)
        return held

    def terms(columns: tuple[npt.ArrayLike, ...]) -> Vector:
        past = np.zeros((rows - first, TERMS))
        for k, values in enumerate(columns):
            past[:, k] = column(values)
        return _frozen(past)

    fed = fed[first:].copy()
    fed.setflags(write=False)
    signal, noise = column(level[0]), column(level[1])
    X, Y = column(prediction[0]), column(prediction[1])
    return CoefficientTable(
        timesteps=fed,
        init_noise_sigma=float(init_noise_sigma),
        init_signal=float(signal[0]),
        init_noise=float(noise[0]),
        c_in=column(c_in),
        P=X if d is None else column(d[0]),
        Q=Y if d is None else column(d[1]),
        U=column(U),
        V=column(V),
        W=terms(W),
        A=column(A),
        S=column(S),
        B=terms(B),
        N=column(N),
        X=X,
        Y=Y,
        known_signal=_frozen(np.append(signal[1:], 1.0)),
        known_noise=_frozen(np.append(noise[1:], 0.0)),
        push=flags(push),
        draws_noise=flags(draws_noise),
    )


def _frozen(values: Vector) -> Vector:
    values.setflags(write=False)
    return values
