"""The one place where the bridge's errors become what a client sees, and where a call gets its request id."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from bridge.calls import Calls
from bridge.errors import BridgeError, InvalidRequest
from bridge.in_band import as_bridge_error, failed_response, set_error_codes
from bridge.library.library_use import uses_library, wants_library
from bridge.observability.call_observer import CallObserver
from bridge.observability.logs import request_id
from protos import starweave_pb2

logger = logging.getLogger(__name__)

Behavior = Callable[[Any, Any], Any]
Context = grpc.aio.ServicerContext[Any, Any]

_SERVICE = "/starweave.ImageGenerationService/"
_SERVICES = (_SERVICE, "/starweave.ImageLibraryService/", "/starweave.ImageInsightService/")


def _as_progress(response: starweave_pb2.ImageResponse) -> starweave_pb2.ImageProgress:
    return starweave_pb2.ImageProgress(
        request_id=response.request_id, stage=starweave_pb2.ImageProgress.FINISHED, result=response
    )


# How the calls that can tell of a failure inside their response do so; the others answer with a status.
_IN_BAND: dict[str, Callable[[starweave_pb2.ImageResponse], Any]] = {
    f"{_SERVICE}GenerateImage": lambda response: response,
    f"{_SERVICE}GenerateImageVariations": lambda response: response,
    f"{_SERVICE}GenerateImageStream": _as_progress,
}


class ErrorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Maps errors of the image services; other services on the same port pass through.

    Handlers of streams write to their context instead of yielding: a generator that is suspended while its message
    is being sent would not notice that the call was cancelled.
    """

    def __init__(self, calls: Calls, observer: CallObserver) -> None:
        self._calls = calls
        self._observer = observer

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any]"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """Wraps the handler of a call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith(_SERVICES):
            return handler
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._guarded(handler.unary_unary, method),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(
                self._guarded(handler.unary_stream, method, streams=True),
                request_deserializer=_lenient(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return handler

    def _guarded(self, behavior: Behavior, method: str, streams: bool = False) -> Behavior:
        async def guarded(request: Any, context: Context) -> Any:
            call_id = uuid.uuid4().hex
            request_id.set(call_id)
            size = 0 if isinstance(request, BridgeError) else request.ByteSize()
            metadata = context.invocation_metadata()
            uses_library.set(wants_library(metadata or ()))
            with self._calls.under_way(), self._observer.observe(method, size, metadata, call_id) as call:
                try:
                    if isinstance(request, BridgeError):
                        raise request
                    return await behavior(request, context)
                except asyncio.CancelledError:
                    logger.info("CANCELLED: the client has gone away, its deadline has passed or the server stops.")
                    call.code = grpc.StatusCode.CANCELLED
                    raise
                except Exception as failure:
                    error = as_bridge_error(failure, call_id)
                call.code = error.code
                if method not in _IN_BAND:
                    await context.abort(error.code, str(error))
                set_error_codes(context, [error])
                response = _IN_BAND[method](failed_response(error, call_id))
                if not streams:
                    return response
                await context.write(response)
                return None

        return guarded


def _lenient(deserializer: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Makes an error of a message that cannot be read, to be told like any other; gRPC's own would be INTERNAL."""
    if deserializer is None:
        return None

    def deserialize(message: bytes) -> Any:
        try:
            return deserializer(message)
        except DecodeError:
            return InvalidRequest("The request cannot be read; its texts must be UTF-8.")

    return deserialize
