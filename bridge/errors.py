"""What can go wrong in the bridge. Each error knows its code; its text is a sentence that the user can act on."""

from typing import ClassVar

import grpc


class BridgeError(Exception):
    """Root of the bridge's errors; `detail` is for the log only, such as the words of another program."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail

    @property
    def for_log(self) -> str:
        """The text with its detail."""
        return f"{self} ({self.detail})" if self.detail else str(self)


class InvalidRequest(BridgeError):
    """The request asks for something that cannot be made as asked."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class Overloaded(BridgeError):
    """There is no room for another picture at the moment."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class WaitingRoomFull(Overloaded):
    """As many pictures wait for the model's engine as may."""


class TooLate(Overloaded):
    """The picture could not be finished in the time that it has: it would take `expected` seconds."""

    def __init__(self, text: str, expected: float) -> None:
        super().__init__(text)
        self.expected = expected


class LimitReached(Overloaded):
    """A user or an API key asks for more than its share; others may still be served."""


class Unauthenticated(BridgeError):
    """The call carries no API key that the bridge knows."""

    code = grpc.StatusCode.UNAUTHENTICATED


class DeadlineExceeded(BridgeError):
    """The picture was not finished within the request's time limit."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class ModelUnavailable(BridgeError):
    """The model cannot be reached: Triton is down, or the model is not loaded or has failed."""

    code = grpc.StatusCode.UNAVAILABLE


class ModelLost(ModelUnavailable):
    """What held the picture died while it was being made; the work done on it is gone."""


class ModelOutOfService(ModelUnavailable):
    """The model is not expected back within seconds: waiting for it does not help."""


class ModelProcessDied(ModelUnavailable):
    """A model's process in Triton has ended; Triton never starts it again."""


class ModelNotLoaded(ModelUnavailable):
    """Triton does not know the model or has no such version of it ready."""


class GenerationCancelled(BridgeError):
    """Somebody cancelled the generation inside Triton."""

    code = grpc.StatusCode.CANCELLED


class GenerationFailed(BridgeError):
    """Making the picture failed for a reason that is not the request's."""


class BrokenFamily(BridgeError):
    """The model repository describes a family in a way that the bridge cannot use."""


class BrokenUpscaler(BridgeError):
    """The model repository describes an upscaler in a way that the bridge cannot use."""
