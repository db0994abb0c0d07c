"""Serving a load with real UNet steps, in this process: by the engine, or by a policy with its session and step code.

UNet steps only: text encoder and VAE cost all policies the same. The scheduling is what differs.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from diffusion_engine.condition import TEXT, Text
from diffusion_engine.engine import Engine
from diffusion_engine.generation import Generation
from diffusion_engine.inputs import Inputs
from diffusion_engine.parameters import EngineParameters
from diffusion_engine.picture import Picture
from diffusion_engine.request import Answer
from diffusion_engine.scheduler_config import SchedulerConfig
from diffusion_engine.session import UNetSession
from diffusion_engine.start import start_from_noise
from diffusion_engine.step import BatchStep
from diffusion_engine.tables import tables_of

from benchmarks.bare_session import LATENT_CHANNELS
from benchmarks.job import Job
from benchmarks.loads import PIXELS_A_LATENT, OpenLoop, PictureSettings
from benchmarks.policies.policy import Turn
from benchmarks.served import ServedPicture
from benchmarks.step_curves import StepCurve

_RUNS = 5
_FULL_STRENGTH = 1.0
_ROWS = (1, 2, 4, 8, 16, 32)


class RealClock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def now(self) -> float:
        """The time."""
        return time.perf_counter() - self._began

    def wait_until(self, time_: float) -> None:
        """Sleeps until then."""
        time.sleep(max(time_ - self.now(), 0))


class RealMachine:
    """Takes the steps of a family's UNet, version 1, with all cores."""

    def __init__(self, repository: Path, family: str, native_size: int, tokens: int) -> None:
        folder = repository / f"{family}_unet" / "1"
        self._session = UNetSession(folder / "model.onnx", ("cpu",), 0)
        self._step = BatchStep(self._session)
        self._table_of = tables_of(
            SchedulerConfig.from_json(json.loads((folder / "scheduler_config.json").read_text()))
        )
        random = np.random.default_rng(0)
        self._condition = {
            name: random.standard_normal([length or tokens for length in shape], np.float32)
            for name, shape in self._session.condition_shapes.items()
        }
        self._generations: dict[int, Generation] = {}
        self._family = family
        self._native_size = native_size
        self._curve: StepCurve | None = None

    def curve(self) -> StepCurve:
        """What its steps cost by their rows, the median of 5 runs each."""
        if self._curve is None:
            seconds = {rows: self._step_seconds(rows) for rows in _ROWS}
            self._curve = StepCurve(f"this CPU, {self._family}", "measured in this run", self._native_size, seconds)
        return self._curve

    def alone(self, picture: PictureSettings) -> float:
        """Seconds that a picture's steps take with nothing else to do."""
        return self.curve().alone(picture)

    def run(self, turn: Turn) -> None:
        """Takes the turn's steps."""
        generations = [self._generation(job) for job in turn.members]
        for _ in range(turn.evaluations):
            self._step(generations)

    def release(self, job: Job) -> None:
        """Lets go of a finished picture."""
        del self._generations[id(job)]

    def serve_by_engine(self, load: OpenLoop) -> list[ServedPicture]:
        """Serves a load with an engine of its own, as a model process runs it; its pictures as they ended."""
        clock, ended = RealClock(), queue.SimpleQueue[tuple[float, float, float, Answer]]()

        def on_answer(arrival: float, alone: float, answer: Answer) -> None:
            ended.put((arrival, clock.now(), alone, answer))

        engine = self._engine()
        engine.start()
        submitted = 0
        while (arrival := load.next_arrival()) is not None:
            clock.wait_until(arrival)
            for arrived, settings in load.due(clock.now()):
                text = Text(self._condition[TEXT])
                inputs = Inputs(_picture(settings), text, text)
                engine.submit("", [inputs], None, partial(on_answer, arrived, self.alone(settings)))
                submitted += 1
        served = [_served(*ended.get()) for _ in range(submitted)]
        engine.drain(0)
        return served

    def _engine(self) -> Engine:
        parameters = EngineParameters(
            latent_channels=LATENT_CHANNELS,
            vae_scale_factor=PIXELS_A_LATENT,
            scaling_factor=1.0,
            max_rows=None,
            max_waiting=sys.maxsize,
            intra_op_thread_count=0,
            providers=("cpu",),
        )
        return Engine(self._session, self._table_of, parameters, self.curve().cost())

    def _generation(self, job: Job) -> Generation:
        if id(job) not in self._generations:
            self._generations[id(job)] = self._begin(job.settings)
        return self._generations[id(job)]

    def _begin(self, settings: PictureSettings) -> Generation:
        picture = _picture(settings)
        side = settings.size // PIXELS_A_LATENT
        table = self._table_of(settings.sampler, settings.steps, _FULL_STRENGTH)
        start = start_from_noise(picture, table, (LATENT_CHANNELS, side, side))
        return Generation.begin("", picture, table, self._condition, self._condition, start)

    def step_of(self, rows: int) -> Callable[[], None]:
        """One UNet evaluation of that many native rows, to be taken again and again."""
        side = self._native_size // PIXELS_A_LATENT
        sample = np.zeros((rows, LATENT_CHANNELS, side, side), np.float32)
        timesteps = np.full(rows, 500, np.float32)
        conditions = {name: np.repeat(row[None], rows, axis=0) for name, row in self._condition.items()}

        def step() -> None:
            self._session.run(sample, timesteps, conditions)

        return step

    def _step_seconds(self, rows: int) -> float:
        step = self.step_of(rows)
        seconds = []
        for _ in range(_RUNS + 1):
            before = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - before)
        # The first run of a shape allocates its memory.
        return float(np.median(seconds[1:]))


def _picture(settings: PictureSettings) -> Picture:
    return Picture(
        width=settings.size,
        height=settings.size,
        steps=settings.steps,
        guidance_scale=settings.guidance_scale,
        sampler=settings.sampler,
        seed=settings.seed,
    )


def _served(arrival: float, finished: float, alone: float, answer: Answer) -> ServedPicture:
    if isinstance(answer, Exception):
        raise answer
    (picture,) = answer
    return ServedPicture(arrival, finished, alone, picture.mean_rows, picture.steps_waited)
