"""The engine's errors: one tree, each class knowing the Triton error code it is answered with."""

from __future__ import annotations

from enum import StrEnum


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


class InvalidRequest(EngineError):
    """An input is missing, malformed or out of range."""

    code = Code.INVALID_ARG


class DuplicateRequest(EngineError):
    """A generation with this request id is in flight already."""

    code = Code.ALREADY_EXISTS


class WaitingRoomFull(EngineError):
    """The bound on waiting generations is reached."""

    code = Code.UNAVAILABLE


class Draining(EngineError):
    """The engine is stopping and takes no more work."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(EngineError):
    """The request's time limit passed before its picture was finished."""

    code = Code.UNAVAILABLE


class DeadlineUnreachable(EngineError):
    """Too much goes before the request for its picture to be finished within its time limit."""

    code = Code.UNAVAILABLE


class Cancelled(EngineError):
    """The generation was cancelled on request."""

    code = Code.CANCELLED


class StepFailed(EngineError):
    """The UNet could not be run for this generation's batch."""


class UnsupportedConfig(EngineError):
    """The scheduler config or a model parameter asks for something the engine does not implement."""

    code = Code.INVALID_ARG
