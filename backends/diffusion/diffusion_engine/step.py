"""One denoising step of a batch: pack rows, run the UNet, combine guidance, apply the samplers' coefficients."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from diffusion_engine.generation import Generation
from diffusion_engine.picture import Picture
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
        self._conditions: Mapping[str, Array] = {}

    def __call__(self, batch: Sequence[Generation], one_core: bool = False) -> tuple[int, float]:
        """Takes the step, on one core or all there are; returns the UNet rows used and the seconds the UNet took.

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
        output = self._session.run(sample, timesteps, self._pack_conditions(list(batch), guided), one_core)
        seconds = time.perf_counter() - began

        prediction = output[: len(batch)]
        if guided:
            pictures = [batch[index].picture for index in guided]
            prediction[guided] = _guide(pictures, prediction[guided], output[len(batch) :])
        _advance(batch, columns, latents, prediction)
        return len(sample), seconds

    def _pack_conditions(self, batch: list[Generation], guided: list[int]) -> Mapping[str, Array]:
        # The same pictures take most steps together: their conditions are packed again only when the batch changes.
        if self._packed_for != (batch, guided):
            rows = [member.prompt for member in batch]
            rows += [negative for index in guided if (negative := batch[index].negative) is not None]
            self._conditions = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            self._packed_for = (batch, guided)
        return self._conditions

    def forget(self) -> None:
        """Lets go of the last batch's pictures and conditions."""
        self._packed_for = ([], [])
        self._conditions = {}


def _guide(pictures: Sequence[Picture], conditional: Array, unconditional: Array) -> Array:
    """Classifier-free guidance, its spread rescaled where a picture asks for that.

    As `rescale_noise_cfg` of diffusers (Lin et al. 2023, equations 15 and 16).
    """
    scales = np.array([picture.guidance_scale for picture in pictures], np.float32)[:, None, None, None]
    guided = unconditional + scales * (conditional - unconditional)
    rescales = np.array([picture.guidance_rescale for picture in pictures], np.float32)[:, None, None, None]
    if rescales.any():
        spread = conditional.std(axis=(1, 2, 3), keepdims=True) / guided.std(axis=(1, 2, 3), keepdims=True)
        guided *= rescales * spread + (1 - rescales)
    return guided


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
