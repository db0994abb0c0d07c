"""Failures of one picture, told inside the response.

STARWEAVE shows `ImageResponse.error` to its user, but throws its channel away on an RPC status. The error's code
travels beside it in the trailing metadata, once for each failed picture, in the order of the responses.
"""

import logging
from typing import Any

import grpc

from bridge.errors import BridgeError, GenerationFailed
from protos import starweave_pb2

logger = logging.getLogger(__name__)

ERROR_CODE_KEY = "starweave-error-code"


def as_bridge_error(error: Exception, request_id: str) -> BridgeError:
    """The error itself where it is one of the bridge's; otherwise logs it and makes one of it."""
    if isinstance(error, BridgeError):
        return error
    logger.error("Unexpected failure", exc_info=error)
    return GenerationFailed(f"The server failed unexpectedly; its log tells more of the request {request_id}.")


def failed_response(error: BridgeError, request_id: str) -> starweave_pb2.ImageResponse:
    """The response for a picture that was not made; logs the failure."""
    log = logger.error if error.code is grpc.StatusCode.INTERNAL else logger.info
    log("%s: %s", error.code.name, error.for_log, extra={"code": error.code.name})
    return starweave_pb2.ImageResponse(request_id=request_id, error=str(error))


def set_error_codes(context: "grpc.aio.ServicerContext[Any, Any]", errors: list[BridgeError]) -> None:
    """Puts the codes of failed pictures into the call's trailing metadata."""
    context.set_trailing_metadata(tuple((ERROR_CODE_KEY, error.code.name) for error in errors))
