"""Sends responses from a thread of its own, so that neither the engine nor `execute` waits for Triton."""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import triton_python_backend_utils as pb_utils
from diffusion_engine.engine import Engine
from diffusion_engine.errors import EngineError
from diffusion_engine.request import Answer, FinishedPicture

_CANCEL_POLL_SECONDS = 0.2
_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


@dataclass(slots=True, eq=False)
class PendingReply:
    """One request that Triton waits for."""

    request_id: str
    sender: Any
    tensors: Callable[[list[FinishedPicture]], list[Any]]
    ready: queue.SimpleQueue[tuple[PendingReply, Answer] | None]

    def answer(self, answer: Answer) -> None:
        """Lets the responder's thread send this answer."""
        self.ready.put((self, answer))


class Responder:
    """Owns the response senders of all generations in flight.

    Its thread both sends FINAL and asks whether a client has gone away: `is_cancelled` must never be called after
    FINAL (the server then reads a response factory that it has freed, python_be.cc in 24.10).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ready: queue.SimpleQueue[tuple[PendingReply, Answer] | None] = queue.SimpleQueue()
        self._arrived: queue.SimpleQueue[PendingReply] = queue.SimpleQueue()
        self._pending: set[PendingReply] = set()
        self._thread = threading.Thread(target=self._run, name="responses", daemon=True)

    def start(self) -> None:
        """Starts the sending thread."""
        self._thread.start()

    def expect(
        self, request_id: str, sender: Any, tensors: Callable[[list[FinishedPicture]], list[Any]]
    ) -> PendingReply:
        """Registers a generation whose answer comes later; an empty id gets one of its own."""
        reply = PendingReply(request_id or uuid.uuid4().hex, sender, tensors, self._ready)
        self._arrived.put(reply)
        return reply

    def reply(self, sender: Any, tensors: list[Any]) -> None:
        """Answers a request that never was pending."""
        sender.send(pb_utils.InferenceResponse(tensors), flags=_FINAL)

    def refuse(self, sender: Any, error: EngineError) -> None:
        """Answers a request that never was pending with its error."""
        sender.send(_failure(error), flags=_FINAL)

    def stop(self) -> None:
        """Sends what is left and ends the thread."""
        self._ready.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                item = self._ready.get(timeout=_CANCEL_POLL_SECONDS)
            except queue.Empty:
                self._notice_cancelled()
                continue
            if item is None:
                return
            self._send(*item)

    def _send(self, reply: PendingReply, answer: Answer) -> None:
        self._take_arrivals()
        self._pending.discard(reply)
        response = (
            _failure(answer) if isinstance(answer, EngineError) else pb_utils.InferenceResponse(reply.tensors(answer))
        )
        try:
            reply.sender.send(response, flags=_FINAL)
        except Exception as error:
            # Everyone else's answers are sent by this thread too.
            pb_utils.Logger.log_error(f"the answer to {reply.request_id} could not be sent: {error}")

    def _take_arrivals(self) -> None:
        # In this order an answer always finds its request registered: `expect` comes before `answer`.
        while not self._arrived.empty():
            self._pending.add(self._arrived.get())

    def _notice_cancelled(self) -> None:
        self._take_arrivals()
        gone = [reply.request_id for reply in self._pending if reply.sender.is_cancelled()]
        if gone:
            self._engine.cancel(gone)


def _failure(error: EngineError) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), getattr(pb_utils.TritonError, error.code)))
