"""One denoising step of a batch: pack rows, run the UNet, combine guidance, apply the samplers' coefficients."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from diffusion_engine.generation import Generation
from diffusion_engine.session import UNetSession
from diffusion_engine.tables import Column

Array = npt.NDArray[np.float32]


class BatchStep:
    """Advances any mixture of samplers, steps and guidance scales by one UNet evaluation.

    Every picture has a row with its prompt; a guided one has a second row with its negative prompt behind them all.
    """

    def __init__(self, session: UNetSession) -> None:
        self._session = session
        self._packed_for: tuple[list[Generation], list[int]] = ([], [])
        self._embeddings: Array = np.empty((0, 0, 0), np.float32)

    def __call__(self, batch: Sequence[Generation]) -> tuple[int, float]:
        """Takes the step; returns the UNet rows used and the seconds the UNet took.

        Nothing of a generation changes unless the UNet has answered, so a failed step can be taken again.
        """
        coefficients = np.stack([member.table.coefficients[member.step] for member in batch])
        columns = coefficients.T[:, :, None, None, None]
        latents = np.stack([member.latents for member in batch])
        guided = [index for index, member in enumerate(batch) if member.guided_now]
        timesteps = np.array([member.table.timesteps[member.step] for member in batch], np.float32)

        sample = columns[Column.C_IN] * latents
        conditioning = [member.conditioning for member in batch if member.conditioning is not None]
        if conditioning:
            sample = np.concatenate([sample, np.stack(conditioning)], axis=1)
        if guided:
            sample = np.concatenate([sample, sample[guided]])
            timesteps = np.concatenate([timesteps, timesteps[guided]])
        began = time.perf_counter()
        output = self._session.run(sample, timesteps, self._pack_embeddings(list(batch), guided))
        seconds = time.perf_counter() - began

        prediction = output[: len(batch)]
        if guided:
            unconditional = output[len(batch) :]
            scales = np.array([batch[index].picture.guidance_scale for index in guided], np.float32)
            prediction[guided] = unconditional + scales[:, None, None, None] * (prediction[guided] - unconditional)
        _advance(batch, columns, latents, prediction)
        return len(sample), seconds

    def _pack_embeddings(self, batch: list[Generation], guided: list[int]) -> Array:
        # The same pictures take most steps together: their embeddings are packed again only when the batch changes.
        if self._packed_for != (batch, guided):
            rows = [member.prompt_embeddings for member in batch]
            rows += [negative for index in guided if (negative := batch[index].negative_embeddings) is not None]
            self._embeddings = np.stack(rows)
            self._packed_for = (batch, guided)
        return self._embeddings

    def forget(self) -> None:
        """Lets go of the last batch's pictures and embeddings."""
        self._packed_for = ([], [])
        self._embeddings = np.empty((0, 0, 0), np.float32)


def _advance(batch: Sequence[Generation], columns: Array, latents: Array, prediction: Array) -> None:
    """Applies the coefficient rows: the linear form of `coefficients.CoefficientTable`, all pictures at once."""
    denoised = columns[Column.P] * latents + columns[Column.Q] * prediction
    following = columns[Column.A] * latents + columns[Column.B0] * denoised
    uses_saved = any(member.table.uses_saved for member in batch)
    if uses_saved:
        before = np.stack([member.latents if member.saved is None else member.saved for member in batch])
        saved = columns[Column.U] * latents + columns[Column.V] * before + columns[Column.W0] * denoised
        following += columns[Column.S] * before
    for age in range(max(member.table.history for member in batch)):
        # A picture whose history is not that long yet has coefficient 0 there.
        past = np.stack([member.history[age] if age < len(member.history) else member.latents for member in batch])
        following += columns[Column.B1 + age] * past
        if uses_saved:
            saved += columns[Column.W1 + age] * past

    for index, member in enumerate(batch):
        # Drawn wherever diffusers draws, also with coefficient 0: the order of draws is part of the picture.
        if member.table.draws_noise[member.step]:
            noise = member.noise.normal(latents.shape[1:])
            following[index] += columns[Column.N, index] * noise
        if member.known is not None:
            following[index] = member.known.blend(following[index], *member.table.known[member.step])
        member.seen = (member.step, latents[index], prediction[index])
        member.latents = following[index]
        if member.table.uses_saved:
            member.saved = saved[index]
        if member.table.push[member.step] and member.table.history:
            member.history.appendleft(denoised[index])
        member.step += 1
