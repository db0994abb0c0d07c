"""The engine: lets requests in, tells of them, ends them early; its workers take the steps."""

from __future__ import annotations

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
    DeadlineUnreachable,
    Draining,
    DuplicateRequest,
    EngineError,
)
from diffusion_engine.generation import Generation
from diffusion_engine.in_flight import InFlight
from diffusion_engine.inputs import Inputs, LatentFormat
from diffusion_engine.pace import Pace
from diffusion_engine.parameters import EngineParameters
from diffusion_engine.record import Ending, Record
from diffusion_engine.request import Answer, Request
from diffusion_engine.scheduler import Scheduler
from diffusion_engine.session import UNetSession
from diffusion_engine.start import start_from_image, start_from_noise
from diffusion_engine.step import BatchStep
from diffusion_engine.step_cost import StepCost
from diffusion_engine.tables import StepTable
from diffusion_engine.worker import Worker

Array = npt.NDArray[np.float32]

# By how much a picture may take longer than expected. With as much to do as fits, pictures that are let in and end just
# too late would be half of the machine's work.
_DOUBT = 1.25


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a request stands: waiting at `position` (1 is next), or with `step` of `steps` evaluations done."""

    position: int | None
    step: int
    steps: int


class Engine:
    """Denoises pictures in UNet steps that they share, on threads of its own: one for each step at a time.

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
        self.record = Record()
        self._scheduler: Scheduler[Generation] = Scheduler(cost, parameters.max_waiting, session.workers)
        self._in_flight = InFlight(self._scheduler, self.record)
        self._early_cancels = EarlyCancels()
        self._pace = Pace(cost, session.workers)
        self._workers = [
            Worker(number, self._in_flight, BatchStep(session), self._pace, parameters.vae_scale_factor)
            for number in range(session.workers)
        ]

    def start(self) -> None:
        """Starts the workers."""
        for worker in self._workers:
            worker.start()

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
        with self._in_flight.changed:
            if self._in_flight.draining:
                raise Draining("This model version is being unloaded; send the request again.")
            if self._in_flight.get(request.id) is not None:
                raise DuplicateRequest(f"A request with the id {request.id!r} is in flight; use a new id.")
            now = time.monotonic()
            if self._early_cancels.take(request.id, now):
                raise Cancelled("The request was cancelled.")
            for generation in generations:
                generation.arrival, generation.arrival_step = now, self._in_flight.steps_taken
            if request.deadline is not None:
                self._check_reachable(generations, max(0.0, request.deadline - now - reserve))
            self._in_flight.add(request)

    def cancel(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """Ends requests; returns the ids that were in flight, and those not seen yet, remembered for 60 seconds."""
        ended: list[Request] = []
        remembered: list[str] = []
        with self._in_flight.changed:
            for request_id in ids:
                request = self._in_flight.get(request_id)
                if request is not None:
                    self._in_flight.take_out(request)
                    ended.append(request)
                else:
                    remembered.append(request_id)
                    self._early_cancels.add(request_id, time.monotonic())
        for request in ended:
            self._in_flight.refuse(request, Cancelled("The request was cancelled."))
        return [request.id for request in ended], remembered

    def progress(self, request_id: str) -> Progress | None:
        """How far a request is, by its slowest picture; None where no such request is in flight."""
        with self._in_flight.changed:
            request = self._in_flight.get(request_id)
            if request is None:
                return None
            slowest = min(request.generations, key=lambda each: each.step / each.table.evaluations)
            return Progress(self._scheduler.position(slowest), slowest.step, slowest.table.evaluations)

    def preview(self, request_id: str) -> Array | None:
        """The estimate of a request's first picture's final latents, [C, h, w]; None before its first step."""
        with self._in_flight.changed:
            request = self._in_flight.get(request_id)
        return None if request is None else request.generations[0].preview()

    def counts(self) -> tuple[int, int]:
        """Pictures taking steps, and pictures waiting."""
        with self._in_flight.changed:
            return self._scheduler.running, self._scheduler.waiting

    def drain(self, seconds: float) -> None:
        """Takes no more work, gives what is in flight up to `seconds` to finish, answers the rest, ends the workers."""
        with self._in_flight.changed:
            self._in_flight.draining = True
            self._in_flight.changed.notify_all()
        until = time.monotonic() + seconds
        for worker in self._workers:
            worker.join(max(0.0, until - time.monotonic()))
        with self._in_flight.changed:
            left = self._in_flight.take_out_all()
            self._in_flight.changed.notify_all()
        for request in left:
            self._in_flight.refuse(
                request, Draining("This model version was unloaded before the picture was finished.")
            )
        # At most the steps under way, which notice that nobody waits for them.
        for worker in self._workers:
            worker.join()

    def _check_reachable(self, generations: list[Generation], seconds: float) -> None:
        # Where nothing goes before it, it is tried: the estimate may be wrong, and its steps are what corrects it.
        if not self._in_flight:
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
