"""One picture under way: everything that its next step needs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.condition import TEXT, Condition
from diffusion_engine.lane import BatchKey
from diffusion_engine.noise import NoiseStream
from diffusion_engine.picture import Picture
from diffusion_engine.start import KnownRegion, Start
from diffusion_engine.tables import StepTable

Array = npt.NDArray[np.float32]


# Compared by identity: two generations with equal settings are still two.
@dataclass(slots=True, eq=False)
class Generation:
    """One picture under way.

    `latents` are float32 [C, h, w] in the sampler's own scale; `saved` holds the latents that some samplers return to;
    `history` the last model outputs, newest first. `prompt` and `negative` are what its UNet rows are conditioned on;
    the latter is None where no step takes a second row. `known` is what inpainting keeps of the init image,
    `conditioning` the further input channels of an inpainting UNet. `seen` is the last step's index with its latents
    and the UNet's prediction, from which a preview is made. A picture's noise depends on nothing but its own seeds.
    """

    request_id: str
    picture: Picture
    table: StepTable
    key: BatchKey
    prompt: Condition
    negative: Condition | None
    noise: NoiseStream
    latents: Array
    history: deque[Array]
    known: KnownRegion | None
    conditioning: Array | None
    seen: tuple[int, Array, Array] | None = None
    saved: Array | None = None
    step: int = 0
    rows_seen: int = 0
    arrival: float = 0.0
    arrival_step: int = 0
    started: float = 0.0
    start_step: int = 0

    @classmethod
    def begin(
        cls,
        request_id: str,
        picture: Picture,
        table: StepTable,
        prompt: Condition,
        negative: Condition | None,
        start: Start,
    ) -> Generation:
        """A generation that has not taken a step yet."""
        height, width = start.latents.shape[1:]
        return cls(
            request_id=request_id,
            picture=picture,
            table=table,
            key=BatchKey(height, width, len(prompt[TEXT])),
            prompt=prompt,
            negative=negative,
            noise=start.noise,
            latents=start.latents,
            history=deque(maxlen=table.history),
            known=start.known,
            conditioning=start.conditioning,
        )

    @property
    def priority(self) -> int:
        """1 (first) to 3."""
        return self.picture.priority

    @property
    def evaluations_left(self) -> int:
        """UNet evaluations until the picture is finished."""
        return self.table.evaluations - self.step

    @property
    def rows(self) -> int:
        """UNet rows that a step of this picture may take: two with guidance, else one."""
        return 2 if self.negative is not None else 1

    @property
    def guided_now(self) -> bool:
        """Whether the next step is guided: guidance is on, and the step lies in the guidance interval."""
        if self.negative is None:
            return False
        part = self.step / self.table.evaluations
        picture = self.picture
        return picture.guidance_from <= part and (part < picture.guidance_until or picture.guidance_until == 1)

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self.step >= self.table.evaluations

    def preview(self) -> Array | None:
        """The finished latents as estimated at the last step, [C, h, w]; None before the first one.

        May be called while a step is taken: it reads `seen` once.
        """
        if self.seen is None:
            return None
        step, latents, prediction = self.seen
        of_latents, of_prediction = self.table.estimates[step]
        estimate: Array = of_latents * latents + of_prediction * prediction
        return estimate
