"""Errors reach the client as the contract says: in the response where it has a place for them, else as a status."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from bridge import errors
from bridge.calls import Calls
from bridge.in_band import ERROR_CODE_KEY
from bridge.interceptor import ErrorInterceptor
from bridge.observability.call_observer import CallObserver
from bridge.observability.metrics import Metrics
from protos import starweave_pb2, starweave_pb2_grpc

KNOWN = [
    (errors.InvalidRequest("Ask otherwise."), "INVALID_ARGUMENT"),
    (errors.Overloaded("Come back later."), "RESOURCE_EXHAUSTED"),
    (errors.DeadlineExceeded("Too late."), "DEADLINE_EXCEEDED"),
    (errors.ModelUnavailable("Not there."), "UNAVAILABLE"),
    (errors.ModelProcessDied("Gone."), "UNAVAILABLE"),
    (errors.GenerationCancelled("Stopped."), "CANCELLED"),
    (errors.GenerationFailed("Broken."), "INTERNAL"),
]


class Failing(starweave_pb2_grpc.ImageGenerationServiceServicer):
    """Fails each call with the error that it was given."""

    def __init__(self) -> None:
        self.error: Exception = Exception()

    async def GenerateImage(self, request: Any, context: Any) -> Any:
        raise self.error

    async def GenerateImageVariations(self, request: Any, context: Any) -> None:
        await context.write(starweave_pb2.ImageResponse(image_data=b"picture"))
        raise self.error

    async def GenerateImageStream(self, request: Any, context: Any) -> None:
        raise self.error

    async def GetImageModels(self, request: Any, context: Any) -> Any:
        raise self.error


@pytest.fixture
def failing() -> Failing:
    return Failing()


@pytest.fixture
async def stub(failing: Failing) -> AsyncIterator[Any]:
    server = grpc.aio.server(interceptors=[ErrorInterceptor(Calls(), CallObserver(Metrics()))])
    starweave_pb2_grpc.add_ImageGenerationServiceServicer_to_server(failing, server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        yield starweave_pb2_grpc.ImageGenerationServiceStub(channel)
    await server.stop(None)


@pytest.mark.parametrize(("error", "code"), KNOWN, ids=[type(error).__name__ for error, _ in KNOWN])
async def test_known_errors_are_told_in_the_response(failing: Failing, stub: Any, error: Exception, code: str) -> None:
    failing.error = error
    call = stub.GenerateImage(starweave_pb2.ImageRequest())
    response = await call
    assert (response.error, response.image_data) == (str(error), b"")
    assert len(response.request_id) == 32
    assert await codes(call) == [code]


async def test_a_stream_of_pictures_ends_with_the_error(failing: Failing, stub: Any) -> None:
    failing.error = errors.InvalidRequest("Ask otherwise.")
    call = stub.GenerateImageVariations(starweave_pb2.ImageVariationsRequest())
    responses = [response async for response in call]
    assert [response.error for response in responses] == ["", "Ask otherwise."]
    assert await codes(call) == ["INVALID_ARGUMENT"]


async def test_a_progress_stream_ends_with_the_error(failing: Failing, stub: Any) -> None:
    failing.error = errors.InvalidRequest("Ask otherwise.")
    call = stub.GenerateImageStream(starweave_pb2.ImageRequest())
    (progress,) = [progress async for progress in call]
    assert progress.stage == starweave_pb2.ImageProgress.FINISHED
    assert progress.result.error == "Ask otherwise."
    assert progress.request_id == progress.result.request_id != ""
    assert await codes(call) == ["INVALID_ARGUMENT"]


async def test_an_unexpected_error_tells_nothing_but_where_to_look(failing: Failing, stub: Any) -> None:
    failing.error = KeyError("a secret of the server")
    call = stub.GenerateImage(starweave_pb2.ImageRequest())
    response = await call
    assert "secret" not in response.error
    assert response.request_id in response.error
    assert await codes(call) == ["INTERNAL"]


async def test_a_response_without_a_place_for_errors_gets_a_status(failing: Failing, stub: Any) -> None:
    failing.error = errors.ModelUnavailable("Not there.")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetImageModels(starweave_pb2.ModelRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "Not there."


async def codes(call: Any) -> list[str]:
    """The error codes in a call's trailing metadata."""
    return [value for key, value in await call.trailing_metadata() if key == ERROR_CODE_KEY]
