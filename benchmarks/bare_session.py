"""A family's graphs in bare ONNX Runtime sessions, without a server: the limit of the machine.

Pictures of one batch are made by the shortest loop there is: text encoder, UNet steps with guidance and DDIM's update,
VAE decoder. What the tokens say does not change the cost, so that they are all alike.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from benchmarks.loads import PIXELS_A_LATENT

Array = npt.NDArray[np.float32]

LATENT_CHANNELS = 4
_GUIDANCE_SCALE = np.float32(7.5)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How sessions are used: pictures per batch, threads of a session, sessions at work in parallel."""

    batch: int
    threads: int
    sessions: int

    def __str__(self) -> str:
        return f"batches of {self.batch}, {self.sessions} session(s) of {self.threads} thread(s)"


@dataclass(frozen=True, slots=True)
class Throughput:
    """Pictures per second of one arrangement."""

    arrangement: Arrangement
    pictures_per_second: float


class BareFamily:
    """One session of each graph of a family, version 1, with a number of threads each."""

    def __init__(self, repository: Path, family: str, threads: int) -> None:
        def session(part: str) -> onnxruntime.InferenceSession:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            graph = repository / f"{family}_{part}" / "1" / "model.onnx"
            return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

        self._text_encoder = session("text_encoder")
        self._unet = session("unet")
        self._vae_decoder = session("vae_decoder")

    def pictures(self, count: int, steps: int, size: int, tokens: int) -> npt.NDArray[np.uint8]:
        """Makes `count` guided pictures in one batch; UINT8 [count, size, size, 3]."""
        ids = np.ones((2 * count, tokens), np.int64)
        embeddings = self._text_encoder.run(None, {"INPUT_IDS": ids})[0]
        side = size // PIXELS_A_LATENT
        latents = np.random.default_rng(0).standard_normal((count, LATENT_CHANNELS, side, side), np.float32)
        signal = np.linspace(0.1, 0.99, steps + 1, dtype=np.float32)
        for step, timestep in enumerate(np.linspace(981, 1, steps, dtype=np.float32)):
            output = self.unet(np.concatenate([latents, latents]), timestep, embeddings)
            noise = output[:count] + _GUIDANCE_SCALE * (output[count:] - output[:count])
            clean = (latents - np.sqrt(1 - signal[step]) * noise) / np.sqrt(signal[step])
            latents = np.sqrt(signal[step + 1]) * clean + np.sqrt(1 - signal[step + 1]) * noise
        images: npt.NDArray[np.uint8] = self._vae_decoder.run(None, {"LATENTS": latents})[0]
        return images

    def unet(self, sample: Array, timestep: np.float32, embeddings: Array) -> Array:
        """One UNet evaluation of as many rows as `sample` has."""
        feeds = {"sample": sample, "timestep": np.full(len(sample), timestep), "encoder_hidden_states": embeddings}
        output: Array = self._unet.run(None, feeds)[0]
        return output


@dataclass(frozen=True, slots=True)
class BareLoop:
    """Measurements of a family's bare sessions at its native size and default steps."""

    repository: Path
    family: str
    size: int
    steps: int
    tokens: int

    def picture_seconds(self, threads: int, repeats: int) -> list[float]:
        """Seconds of one picture after another."""
        family = BareFamily(self.repository, self.family, threads)
        self._make(family, 1)
        seconds = []
        for _ in range(repeats):
            before = time.perf_counter()
            self._make(family, 1)
            seconds.append(time.perf_counter() - before)
        return seconds

    def throughput(self, arrangement: Arrangement, seconds: float) -> Throughput:
        """Pictures per second; every session works for at least `seconds`, and they end with whole batches."""
        families = [BareFamily(self.repository, self.family, arrangement.threads) for _ in range(arrangement.sessions)]
        with ThreadPoolExecutor(arrangement.sessions) as pool:
            list(pool.map(lambda family: self._make(family, arrangement.batch), families))
            rates = pool.map(lambda family: self._rate(family, arrangement.batch, seconds), families)
            return Throughput(arrangement, sum(rates))

    def _rate(self, family: BareFamily, batch: int, seconds: float) -> float:
        began = time.perf_counter()
        made = 0
        while (passed := time.perf_counter() - began) < seconds or not made:
            self._make(family, batch)
            made += batch
        return made / (time.perf_counter() - began) if passed < seconds else made / passed

    def _make(self, family: BareFamily, batch: int) -> None:
        family.pictures(batch, self.steps, self.size, self.tokens)


def arrangements(cores: int, batches: Sequence[int]) -> list[Arrangement]:
    """All that use every core: one session with all of them, or one session for each."""
    shapes = {(cores, 1), (1, cores)}
    return [Arrangement(batch, threads, sessions) for batch, (threads, sessions) in itertools.product(batches, shapes)]
