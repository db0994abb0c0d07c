"""The loop: admit, drop the cancelled and expired, schedule, step, finish."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffusion_engine.condition import ConditionFormat
from diffusion_engine.early_cancels import EarlyCancels
from diffusion_engine.errors import (
    Cancelled,
    DeadlineExceeded,
    DeadlineUnreachable,
    Draining,
    DuplicateRequest,
    EngineError,
    StepFailed,
)
from diffusion_engine.generation import Generation
from diffusion_engine.inputs import Inputs, LatentFormat
from diffusion_engine.outcome import Outcome
from diffusion_engine.pace import Pace
from diffusion_engine.parameters import EngineParameters
from diffusion_engine.record import Ending, Record, StepRecord
from diffusion_engine.request import Answer, FinishedPicture, Request
from diffusion_engine.scheduler import Batch, Scheduler
from diffusion_engine.session import UNetSession
from diffusion_engine.start import start_from_image, start_from_noise
from diffusion_engine.step import BatchStep
from diffusion_engine.step_cost import StepCost
from diffusion_engine.tables import StepTable

Array = npt.NDArray[np.float32]

# By how much a picture may take longer than expected. With as much to do as fits, pictures that are let in and end just
# too late would be half of the machine's work.
_DOUBT = 1.25

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a request stands: waiting at `position` (1 is next), or with `step` of `steps` evaluations done."""

    position: int | None
    step: int
    steps: int


class Engine:
    """Denoises pictures, one shared UNet step at a time, on a thread of its own.

    All methods may be called from any thread. A request is answered exactly once: with its pictures or an EngineError.
    """

    def __init__(
        self,
        session: UNetSession,
        table_of: Callable[[str, int, float], StepTable],
        parameters: EngineParameters,
        cost: StepCost,
    ) -> None:
        self._format = LatentFormat(
            channels=parameters.latent_channels,
            vae_scale_factor=parameters.vae_scale_factor,
            condition=ConditionFormat.of(session.condition_shapes),
            takes_conditioning=session.sample_channels > parameters.latent_channels,
        )
        self._table_of = table_of
        self._parameters = parameters
        self._scheduler: Scheduler[Generation] = Scheduler(cost, parameters.max_waiting)
        self._batch_step = BatchStep(session)
        self._requests: dict[str, Request] = {}
        self._early_cancels = EarlyCancels()
        self._steps_taken = 0
        self._cost = cost
        self._pace = Pace()
        self._draining = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="denoising", daemon=True)
        self.record = Record()

    def start(self) -> None:
        """Starts the engine's thread."""
        self._thread.start()

    def submit(
        self,
        request_id: str,
        inputs: Sequence[Inputs],
        deadline: float | None,
        on_answer: Callable[[Answer], None],
        reserve: float = 0.0,
    ) -> None:
        """Takes a request in. An empty id is replaced by one of the engine's own.

        A request is let in where its pictures can be expected `reserve` seconds before its `deadline` (monotonic).

        Raises the EngineError that the request is to be answered with: InvalidRequest, DuplicateRequest,
        WaitingRoomFull, DeadlineUnreachable, Draining, or Cancelled where its cancel came first.
        """
        request_id = request_id or uuid.uuid4().hex
        try:
            generations = [self._begin(request_id, each) for each in inputs]
            self._admit(Request(request_id, generations, [None] * len(generations), deadline, on_answer), reserve)
        except EngineError as error:
            self.record.end(Ending(error.outcome, len(inputs)))
            raise

    def _admit(self, request: Request, reserve: float) -> None:
        generations = request.generations
        with self._wake:
            if self._draining:
                raise Draining("This model version is being unloaded; send the request again.")
            if request.id in self._requests:
                raise DuplicateRequest(f"A request with the id {request.id!r} is in flight; use a new id.")
            now = time.monotonic()
            if self._early_cancels.take(request.id, now):
                raise Cancelled("The request was cancelled.")
            for generation in generations:
                generation.arrival, generation.arrival_step = now, self._steps_taken
            if request.deadline is not None:
                self._check_reachable(generations, max(0.0, request.deadline - now - reserve))
            self._scheduler.add(generations)
            self._requests[request.id] = request
            self._wake.notify()

    def cancel(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Ends requests; returns the ids that were in flight, and those not seen yet, remembered for 60 seconds."""
        ended: list[Request] = []
        remembered: list[str] = []
        with self._wake:
            for request_id in ids:
                request = self._requests.get(request_id)
                if request is not None:
                    self._take_out(request)
                    ended.append(request)
                else:
                    remembered.append(request_id)
                    self._early_cancels.add(request_id, time.monotonic())
        for request in ended:
            self._refuse(request, Cancelled("The request was cancelled."))
        return [request.id for request in ended], remembered

    def progress(self, request_id: str) -> Progress | None:
        """How far a request is, by its slowest picture; None where no such request is in flight."""
        with self._wake:
            request = self._requests.get(request_id)
            if request is None:
                return None
            slowest = min(request.generations, key=lambda each: each.step / each.table.evaluations)
            return Progress(self._scheduler.position(slowest), slowest.step, slowest.table.evaluations)

    def preview(self, request_id: str) -> Array | None:
        """The estimate of a request's first picture's final latents, [C, h, w]; None before its first step."""
        with self._wake:
            request = self._requests.get(request_id)
        return None if request is None else request.generations[0].preview()

    def counts(self) -> tuple[int, int]:
        """Pictures taking steps, and pictures waiting."""
        with self._wake:
            return self._scheduler.running, self._scheduler.waiting

    def drain(self, seconds: float) -> None:
        """Takes no more work, gives what is in flight up to `seconds` to finish, answers the rest, ends the thread."""
        with self._wake:
            self._draining = True
            self._wake.notify()
        self._thread.join(seconds)
        with self._wake:
            left = list(self._requests.values())
            for request in left:
                self._take_out(request)
        for request in left:
            self._refuse(request, Draining("This model version was unloaded before the picture was finished."))
        # At most the step under way, which notices that nobody waits for it.
        self._thread.join()

    def _check_reachable(self, generations: list[Generation], seconds: float) -> None:
        # Where nothing goes before it, it is tried: the estimate may be wrong, and its steps are what corrects it.
        if not self._requests:
            return
        expected = self._scheduler.expected_seconds(generations) * self._pace.ratio * _DOUBT
        if expected > seconds:
            raise DeadlineUnreachable(
                f"The picture may take up to {expected:.2f} s, waiting included, and has {seconds:.2f} s; "
                "try again later, with a longer time limit or with fewer steps."
            )

    def _begin(self, request_id: str, inputs: Inputs) -> Generation:
        inputs.check(self._format)
        picture, init = inputs.picture, inputs.init_image
        table = self._table_of(picture.sampler, picture.steps, picture.strength)
        if init is None:
            start = start_from_noise(picture, table, self._format.shape(picture))
        else:
            scaling_factor = self._parameters.scaling_factor
            start = start_from_image(picture, table, init, scaling_factor, self._format.takes_conditioning)
        return Generation.begin(request_id, picture, table, *inputs.conditions(self._format.condition), start)

    def _take_out(self, request: Request) -> None:
        """Ends a request under the lock; whoever took it out is the one to answer it."""
        del self._requests[request.id]
        for generation in request.generations:
            self._scheduler.remove(generation)

    def _run(self) -> None:
        while self._wait_for_work():
            with self._wake:
                expired = self._take_out_expired()
                batch = self._scheduler.next_batch(time.monotonic())
            for request in expired:
                self._refuse(
                    request,
                    DeadlineExceeded("deadline exceeded: the time limit passed before the picture was finished."),
                )
            if batch is not None:
                self._step(batch)

    def _wait_for_work(self) -> bool:
        """Waits for a request; False once the engine drains and nothing is left."""
        with self._wake:
            while not self._requests and not self._draining:
                # Idle: the last batch's pictures need not stay in memory.
                self._batch_step.forget()
                self._pace.rest()
                self._wake.wait()
            return bool(self._requests)

    def _take_out_expired(self) -> list[Request]:
        now = time.monotonic()
        expired = [
            request for request in self._requests.values() if request.deadline is not None and request.deadline <= now
        ]
        for request in expired:
            self._take_out(request)
        return expired

    def _step(self, batch: Batch[Generation]) -> None:
        began, now = time.perf_counter(), time.monotonic()
        for member in batch.members:
            if member.started == 0.0:
                member.started, member.start_step = now, self._steps_taken
        try:
            rows, unet_seconds = self._batch_step(batch.members)
        except Exception:
            # One failing picture never takes its batch along: each is tried alone.
            log.exception("a step of %d pictures failed; each is tried alone", len(batch.members))
            self._step_one_by_one(batch)
            return
        self._steps_taken += 1
        ended = time.perf_counter()
        self._pace.step(began, ended, self._cost.step_seconds(rows, batch.key.pixels))
        factor = self._parameters.vae_scale_factor
        self.record.add(
            StepRecord(
                index=self._steps_taken,
                ids=tuple(member.request_id for member in batch.members),
                rows=rows,
                width=batch.key.latent_width * factor,
                height=batch.key.latent_height * factor,
                unet_ms=unet_seconds * 1e3,
                step_ms=(ended - began) * 1e3,
            )
        )
        for member in batch.members:
            member.rows_seen += rows
            if member.finished:
                self._finish(member)

    def _step_one_by_one(self, batch: Batch[Generation]) -> None:
        for member in batch.members:
            try:
                member.rows_seen += self._batch_step([member])[0]
            except Exception as error:
                log.exception("the step failed for a picture of the request %s alone", member.request_id)
                self._fail(member, StepFailed(f"The UNet failed on this picture: {error}"))
            else:
                if member.finished:
                    self._finish(member)
        self._steps_taken += 1

    def _finish(self, member: Generation) -> None:
        if not np.isfinite(member.latents).all():
            self._fail(member, StepFailed("The UNet made latents that are not finite; try other settings."))
            return
        picture = FinishedPicture.of(member, time.monotonic())
        with self._wake:
            self._scheduler.remove(member)
            request = self._requests.get(member.request_id)
            # The request may have ended while the step ran, and its id may be in use again.
            if request is None or member not in request.generations:
                return
            request.finished[request.generations.index(member)] = picture
            pictures = [each for each in request.finished if each is not None]
            if len(pictures) < len(request.generations):
                return
            self._take_out(request)
        for each in pictures:
            self.record.end(Ending(Outcome.FINISHED, 1, each.waiting_ms, each.steps_waited))
        request.on_answer(pictures)

    def _fail(self, member: Generation, error: EngineError) -> None:
        with self._wake:
            request = self._requests.get(member.request_id)
            if request is None or member not in request.generations:
                return
            self._take_out(request)
        self._refuse(request, error)

    def _refuse(self, request: Request, error: EngineError) -> None:
        self.record.end(Ending(error.outcome, len(request.generations)))
        request.on_answer(error)
