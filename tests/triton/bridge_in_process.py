"""A bridge inside the test's own event loop, for tests that need settings of their own or its inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bridge.server import BridgeServer
from bridge.settings import Settings
from protos import starweave_pb2_grpc


class RunningBridge:
    """A started bridge with stubs of its services."""

    def __init__(self, server: BridgeServer, channel: grpc.aio.Channel) -> None:
        self.server = server
        self.images: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
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
        async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
            bridge = RunningBridge(server, channel)
            await bridge.until("", "SERVING")
            yield bridge
    finally:
        await server.stop()
