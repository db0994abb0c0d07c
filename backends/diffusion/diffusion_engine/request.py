"""What one request asks of the engine, and what it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.errors import EngineError
from diffusion_engine.generation import Generation
from diffusion_engine.picture import Picture

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FinishedPicture:
    """One finished picture: its latents, float32 [C, h, w] in the UNet's space, and how it was made.

    Times are milliseconds. `mean_rows` is the mean of UNet rows over its steps, `steps_waited` the engine's steps
    between its arrival and its first one.
    """

    latents: Array
    picture: Picture
    evaluations: int
    waiting_ms: float
    denoising_ms: float
    mean_rows: float
    steps_waited: int

    @classmethod
    def of(cls, generation: Generation, ended: float) -> FinishedPicture:
        """The picture of a generation that took its last step at `ended`, a `time.monotonic` second."""
        return cls(
            latents=generation.latents,
            picture=generation.picture,
            evaluations=generation.table.evaluations,
            waiting_ms=(generation.started - generation.arrival) * 1e3,
            denoising_ms=(ended - generation.started) * 1e3,
            mean_rows=generation.rows_seen / generation.table.evaluations,
            steps_waited=generation.start_step - generation.arrival_step,
        )


Answer = list[FinishedPicture] | EngineError
"""All pictures of a request in the order asked, or the one reason why there are none."""


@dataclass(slots=True, eq=False)
class Request:
    """A request in flight: its pictures, finished together or failing together.

    `deadline` is a `time.monotonic` second. `on_answer` is called exactly once, from whichever thread ended the
    request, and must not block.
    """

    id: str
    generations: list[Generation]
    finished: list[FinishedPicture | None]
    deadline: float | None
    on_answer: Callable[[Answer], None]
