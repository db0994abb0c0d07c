"""A bridge inside the test's own event loop, for tests that need settings of their own or its inside."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image

from bridge.server import BridgeServer
from bridge.settings import Settings
from protos import image_insight_pb2_grpc, image_library_pb2_grpc, starweave_pb2_grpc


class RunningBridge:
    """A started bridge with stubs of its services."""

    def __init__(self, server: BridgeServer, channel: grpc.aio.Channel, address: str) -> None:
        self.server = server
        self.address = address
        self.images: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        self.library: Any = image_library_pb2_grpc.ImageLibraryServiceStub(channel)
        self.insight: Any = image_insight_pb2_grpc.ImageInsightServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    async def health(self, service: str) -> str:
        """A service's status by name, such as "SERVING"."""
        answer = await self._health.Check(health_pb2.HealthCheckRequest(service=service))
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    async def until(self, service: str, status: str) -> None:
        """Returns when a service has a status; the test's own time limit ends it otherwise."""
        while await self.health(service) != status:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def running(triton_url: str, **settings: Any) -> AsyncIterator[RunningBridge]:
    """Starts a bridge, waits until it serves, and stops it in the end; stopping it earlier is fine."""
    server = BridgeServer(Settings(host="localhost", port=0, triton_url=triton_url, **settings))
    port = await server.start()
    try:
        address = f"localhost:{port}"
        async with grpc.aio.insecure_channel(address) as channel:
            bridge = RunningBridge(server, channel, address)
            await bridge.until("", "SERVING")
            yield bridge
    finally:
        await server.stop()


def pixels(response: Any) -> Any:
    """The pixels [H,W,3] of a picture that was made, as integers that do not wrap around."""
    assert response.error == ""
    return np.asarray(Image.open(io.BytesIO(response.image_data))).astype(int)


async def codes(call: Any) -> list[str]:
    """The codes of the pictures of a call that failed."""
    return [value for key, value in await call.trailing_metadata() if key == "starweave-error-code"]
