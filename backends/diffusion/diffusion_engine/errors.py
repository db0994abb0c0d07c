"""The engine's errors: one tree, each class knowing its Triton error code and how the metrics count it."""

from __future__ import annotations

from enum import StrEnum

from diffusion_engine.outcome import Outcome


class Code(StrEnum):
    """Names of Triton's error codes (`TRITONSERVER_Error_Code`)."""

    INVALID_ARG = "INVALID_ARG"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    UNAVAILABLE = "UNAVAILABLE"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"


class EngineError(Exception):
    """What a generation or a control request is answered with instead of a result."""

    code = Code.INTERNAL
    outcome = Outcome.FAILED


class InvalidRequest(EngineError):
    """An input is missing, malformed or out of range."""

    code = Code.INVALID_ARG
    outcome = Outcome.REFUSED


class DuplicateRequest(EngineError):
    """A generation with this request id is in flight already."""

    code = Code.ALREADY_EXISTS
    outcome = Outcome.REFUSED


class WaitingRoomFull(EngineError):
    """The bound on waiting generations is reached."""

    code = Code.UNAVAILABLE
    outcome = Outcome.REFUSED


class Draining(EngineError):
    """The engine is stopping and takes no more work."""

    code = Code.UNAVAILABLE
    outcome = Outcome.DRAINED


class DeadlineExceeded(EngineError):
    """The request's time limit passed before its picture was finished."""

    code = Code.UNAVAILABLE
    outcome = Outcome.EXPIRED


class DeadlineUnreachable(EngineError):
    """Too much goes before the request for its picture to be finished within its time limit."""

    code = Code.UNAVAILABLE
    outcome = Outcome.REFUSED


class Cancelled(EngineError):
    """The generation was cancelled on request."""

    code = Code.CANCELLED
    outcome = Outcome.CANCELLED


class StepFailed(EngineError):
    """The UNet could not be run for this generation's batch."""


class UnsupportedConfig(EngineError):
    """The scheduler config or a model parameter asks for something the engine does not implement."""

    code = Code.INVALID_ARG
