"""STARWEAVE's client side: what the commands ask an image server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bridge.library.library_use import LIBRARY_KEY
from protos import image_insight_pb2_grpc, starweave_pb2_grpc
from standalone.credentials import API_KEY, open_channel
from standalone.errors import GenerationFailed, ServerUnreachable, StandaloneError

DEFAULT_ADDRESS = "localhost:50051"
MODELS = "starweave.models"
SERVICE = "starweave.ImageGenerationService"
# Metadata of a call that must be made by the model, and leaves nothing in the library.
WITHOUT_LIBRARY = ((LIBRARY_KEY, "off"),)
# STARWEAVE's own limit on a message.
MAX_MESSAGE_BYTES = 50 * 1024 * 1024

Answer = TypeVar("Answer")


class Health(Enum):
    """What a server says of one of its services."""

    SERVING = "serving"
    NOT_SERVING = "not serving"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"


@contextmanager
def connect(address: str) -> Iterator[grpc.Channel]:
    """A channel to the server at `address` (host:port), closed at the end."""
    with open_channel(address, [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]) as channel:
        yield channel


def image_service(channel: grpc.Channel) -> starweave_pb2_grpc.ImageGenerationServiceStub:
    """The stub of STARWEAVE's service on `channel`."""
    return starweave_pb2_grpc.ImageGenerationServiceStub(channel)


def insight_service(channel: grpc.Channel) -> image_insight_pb2_grpc.ImageInsightServiceStub:
    """The stub of the service over what the library tells on `channel`."""
    return image_insight_pb2_grpc.ImageInsightServiceStub(channel)


def health(channel: grpc.Channel, service: str, seconds: float = 3) -> Health:
    """The health of `service`, one of `MODELS` and `SERVICE`."""
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=seconds)
    except grpc.RpcError as error:
        return Health.UNKNOWN if error.code() == grpc.StatusCode.NOT_FOUND else Health.UNREACHABLE
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return Health.SERVING
    if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
        return Health.NOT_SERVING
    return Health.UNKNOWN


def explain(error: grpc.RpcError, address: str) -> StandaloneError:
    """The error that tells a person what a failed call to `address` means."""
    if error.code() == grpc.StatusCode.UNAVAILABLE and not _was_answered(error):
        return ServerUnreachable(
            f"No image server answers at {address}: start one with `starweave serve`, or name another with --address."
        )
    if error.code() == grpc.StatusCode.UNIMPLEMENTED:
        return ServerUnreachable(f"What answers at {address} is not this image server: name another with --address.")
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return GenerationFailed(f"The server at {address} asks for an API key that it knows: set {API_KEY}.")
    return GenerationFailed(f"The server refused: {error.details()} ({error.code().name})")


def _was_answered(error: grpc.RpcError) -> bool:
    # A server's own UNAVAILABLE comes with initial metadata or trailers; a failed connection has neither.
    return bool(error.trailing_metadata())


def finished(call: grpc.CallFuture[Answer], pause: Callable[[float], None]) -> Answer:
    """The answer of a call under way; `pause(seconds)` is called while waiting and may raise, which cancels the call.

    Raises:
        grpc.RpcError: the call failed.
    """
    try:
        while not call.done():
            pause(0.02)
        return call.result()
    finally:
        call.cancel()
