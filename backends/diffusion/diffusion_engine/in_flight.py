"""The requests that are not answered yet."""

from __future__ import annotations

import threading

from diffusion_engine.errors import EngineError
from diffusion_engine.generation import Generation
from diffusion_engine.outcome import Outcome
from diffusion_engine.record import Ending, Record
from diffusion_engine.request import FinishedPicture, Request
from diffusion_engine.scheduler import Scheduler


class InFlight:
    """All requests in flight, with their pictures in the schedule.

    `changed` is the lock of everything here, the scheduler and the attributes included; who holds it may wait on it for
    work. Whoever takes a request out is the one to answer it, which `answer` and `refuse` do without the lock.
    """

    def __init__(self, scheduler: Scheduler[Generation], record: Record) -> None:
        self.changed = threading.Condition()
        self.scheduler = scheduler
        self.record = record
        self.draining = False
        self.steps_taken = 0
        self._requests: dict[str, Request] = {}

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._requests)

    def get(self, request_id: str) -> Request | None:
        """The request of that id."""
        return self._requests.get(request_id)

    def add(self, request: Request) -> None:
        """Takes a request in; raises WaitingRoomFull where its pictures can't wait."""
        self.scheduler.add(request.generations)
        self._requests[request.id] = request
        self.changed.notify()

    def take_out(self, request: Request) -> None:
        """Ends a request that is in."""
        del self._requests[request.id]
        for generation in request.generations:
            self.scheduler.remove(generation)

    def take_out_all(self) -> list[Request]:
        """Ends every request."""
        requests = list(self._requests.values())
        for request in requests:
            self.take_out(request)
        return requests

    def take_out_expired(self, now: float) -> list[Request]:
        """Ends the requests whose deadline has passed at `now`, a `time.monotonic` second."""
        expired = [
            request for request in self._requests.values() if request.deadline is not None and request.deadline <= now
        ]
        for request in expired:
            self.take_out(request)
        return expired

    def request_of(self, member: Generation) -> Request | None:
        """A picture's request; None where it ended while a step ran, also where its id is in use again."""
        request = self._requests.get(member.request_id)
        return request if request is not None and member in request.generations else None

    def answer(self, request: Request, pictures: list[FinishedPicture]) -> None:
        """Answers a request that was taken out."""
        for each in pictures:
            self.record.end(Ending(Outcome.FINISHED, 1, each.waiting_ms, each.steps_waited))
        request.on_answer(pictures)

    def refuse(self, request: Request, error: EngineError) -> None:
        """Answers a request that was taken out with the reason why it has no pictures."""
        self.record.end(Ending(error.outcome, len(request.generations)))
        request.on_answer(error)
