"""A thread that takes steps: chooses a batch, runs the UNet on it, sees off whose last step it was."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np

from diffusion_engine.errors import DeadlineExceeded, StepFailed
from diffusion_engine.generation import Generation
from diffusion_engine.in_flight import InFlight
from diffusion_engine.pace import Pace
from diffusion_engine.record import StepRecord
from diffusion_engine.request import FinishedPicture
from diffusion_engine.scheduler import Batch
from diffusion_engine.step import BatchStep

log = logging.getLogger(__name__)


class Worker:
    """Takes one step after another until the engine drains and nothing is left.

    Several workers share the requests in flight: each takes batches of its own, on a processor core of its own, or one
    of them takes a batch on all cores. `pixels` are those of a picture for each of its latents', along one axis.
    """

    def __init__(self, number: int, in_flight: InFlight, batch_step: BatchStep, pace: Pace, pixels: int) -> None:
        self._in_flight = in_flight
        self._batch_step = batch_step
        self._pace = pace
        self._pixels = pixels
        self._busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"denoising-{number}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self, seconds: float | None = None) -> None:
        """Waits for the thread's end, `seconds` at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        batch: Batch[Generation] | None = None
        while True:
            in_flight = self._in_flight
            with in_flight.changed:
                if batch is not None:
                    in_flight.scheduler.done(batch)
                now = time.monotonic()
                expired = in_flight.take_out_expired(now)
                batch = in_flight.scheduler.next_batch(now)
                if in_flight.scheduler.ready:
                    in_flight.changed.notify()
                if batch is None and not expired:
                    if in_flight.draining and not in_flight:
                        # The others wait for work that will not come.
                        in_flight.changed.notify_all()
                        return
                    self._rest()
                    in_flight.changed.wait()
            for request in expired:
                in_flight.refuse(
                    request,
                    DeadlineExceeded("deadline exceeded: the time limit passed before the picture was finished."),
                )
            if batch is not None:
                self._step(batch)

    def _rest(self) -> None:
        """There is nothing to do: time does not count, and the last batch's pictures need not stay in memory."""
        self._busy_since = None
        self._batch_step.forget()

    def _step(self, batch: Batch[Generation]) -> None:
        began, now = time.perf_counter(), time.monotonic()
        for member in batch.members:
            if member.started == 0.0:
                member.started, member.start_step = now, self._in_flight.steps_taken
        try:
            rows, unet_seconds = self._batch_step(batch.members, batch.one_worker)
        except Exception:
            # One failing picture never takes its batch along: each is tried alone.
            log.exception("a step of %d pictures failed; each is tried alone", len(batch.members))
            self._step_one_by_one(batch)
            return
        ended = time.perf_counter()
        with self._in_flight.changed:
            self._in_flight.steps_taken += 1
            self._in_flight.record.add(
                StepRecord(
                    index=self._in_flight.steps_taken,
                    ids=tuple(member.request_id for member in batch.members),
                    rows=rows,
                    width=batch.key.latent_width * self._pixels,
                    height=batch.key.latent_height * self._pixels,
                    unet_ms=unet_seconds * 1e3,
                    step_ms=(ended - began) * 1e3,
                )
            )
            # What lies between the steps of a busy worker counts as well: pictures are let in and finished there.
            since = began if self._busy_since is None else self._busy_since
            self._pace.step(ended - since, rows, batch.key.pixels, batch.one_worker)
        self._busy_since = ended
        for member in batch.members:
            member.rows_seen += rows
            if member.finished:
                self._finish(member)

    def _step_one_by_one(self, batch: Batch[Generation]) -> None:
        for member in batch.members:
            try:
                member.rows_seen += self._batch_step([member], batch.one_worker)[0]
            except Exception as error:
                log.exception("the step failed for a picture of the request %s alone", member.request_id)
                self._fail(member, StepFailed(f"The UNet failed on this picture: {error}"))
            else:
                if member.finished:
                    self._finish(member)
        with self._in_flight.changed:
            self._in_flight.steps_taken += 1

    def _finish(self, member: Generation) -> None:
        if not np.isfinite(member.latents).all():
            self._fail(member, StepFailed("The UNet made latents that are not finite; try other settings."))
            return
        picture = FinishedPicture.of(member, time.monotonic())
        with self._in_flight.changed:
            self._in_flight.scheduler.remove(member)
            request = self._in_flight.request_of(member)
            if request is None:
                return
            request.finished[request.generations.index(member)] = picture
            pictures = [each for each in request.finished if each is not None]
            if len(pictures) < len(request.generations):
                return
            self._in_flight.take_out(request)
        self._in_flight.answer(request, pictures)

    def _fail(self, member: Generation, error: StepFailed) -> None:
        with self._in_flight.changed:
            request = self._in_flight.request_of(member)
            if request is None:
                return
            self._in_flight.take_out(request)
        self._in_flight.refuse(request, error)
