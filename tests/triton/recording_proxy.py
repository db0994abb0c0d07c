"""Stands between a bridge and Triton, passes every call on and keeps what was asked to infer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from tritonclient.grpc import service_pb2

_INFER = "/inference.GRPCInferenceService/ModelInfer"
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class RecordingProxy(grpc.GenericRpcHandler):
    """Forwards unary calls as the bytes that they are."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.requests: list[service_pb2.ModelInferRequest] = []
        self.url = ""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """A handler of any method."""
        method = details.method

        async def forward(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            if method == _INFER:
                self.requests.append(service_pb2.ModelInferRequest.FromString(request))
            try:
                return await self._channel.unary_unary(method)(request)
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "")

        return grpc.unary_unary_rpc_method_handler(forward)

    def sent(self, model: str, tensor: str) -> list[bytes]:
        """The first element of a BYTES tensor in each request to a model, in their order."""
        return [
            request.raw_input_contents[index][4:]  # after four bytes of length
            for request in self.requests
            if request.model_name == model
            for index, given in enumerate(request.inputs)
            if given.name == tensor
        ]


@asynccontextmanager
async def recording(triton_url: str) -> AsyncIterator[RecordingProxy]:
    """Starts a proxy of Triton and stops it in the end."""
    async with grpc.aio.insecure_channel(triton_url, options=_UNLIMITED) as channel:
        proxy = RecordingProxy(channel)
        server = grpc.aio.server(handlers=[proxy], options=_UNLIMITED)
        proxy.url = f"localhost:{server.add_insecure_port('localhost:0')}"
        await server.start()
        try:
            yield proxy
        finally:
            await server.stop(None)
