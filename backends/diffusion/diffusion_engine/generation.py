"""One picture under way: everything that its next step needs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.lane import BatchKey
from diffusion_engine.noise import NoiseStream, slerp
from diffusion_engine.picture import Picture
from diffusion_engine.tables import StepTable

Array = npt.NDArray[np.float32]


# Compared by identity: two generations with equal settings are still two.
@dataclass(slots=True, eq=False)
class Generation:
    """One picture under way.

    `latents` are float32 [C, h, w] in the sampler's own scale; `saved` holds the latents that some samplers return to;
    `history` the last model outputs, newest first. `prompt_embeddings` and `negative_embeddings` are float32 [T, D];
    the latter is None where guidance is off. Its noise depends on nothing but its own seeds.
    """

    request_id: str
    picture: Picture
    table: StepTable
    key: BatchKey
    prompt_embeddings: Array
    negative_embeddings: Array | None
    noise: NoiseStream
    latents: Array
    history: deque[Array]
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
        latent_shape: tuple[int, int, int],
        prompt_embeddings: Array,
        negative_embeddings: Array | None,
    ) -> Generation:
        """Draws the initial latents as `prepare_latents` of diffusers does: unit noise times the first sigma."""
        noise = NoiseStream(picture.seed)
        initial = noise.normal(latent_shape)
        if picture.variation_seed is not None:
            variation = NoiseStream(picture.variation_seed).normal(latent_shape)
            initial = slerp(initial, variation, picture.variation_strength)
        return cls(
            request_id=request_id,
            picture=picture,
            table=table,
            key=BatchKey(latent_shape[1], latent_shape[2], len(prompt_embeddings)),
            prompt_embeddings=prompt_embeddings,
            negative_embeddings=negative_embeddings if picture.guided else None,
            noise=noise,
            latents=initial * np.float32(table.init_noise_sigma),
            history=deque(maxlen=table.history),
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
        return 2 if self.negative_embeddings is not None else 1

    @property
    def guided_now(self) -> bool:
        """Whether the next step is guided: guidance is on, and the step lies in the guidance interval."""
        if self.negative_embeddings is None:
            return False
        part = self.step / self.table.evaluations
        picture = self.picture
        return picture.guidance_from <= part and (part < picture.guidance_until or picture.guidance_until == 1)

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return self.step >= self.table.evaluations
