"""A bridge whose Triton does not answer still serves: it says so, and stops when asked to."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from bridge.server import BridgeServer
from bridge.settings import Settings
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.ports import free_port

Health = health_pb2.HealthCheckResponse


@dataclass(frozen=True, slots=True)
class Running:
    server: BridgeServer
    port: int
    channel: grpc.aio.Channel

    async def health(self, service: str) -> int:
        stub = health_pb2_grpc.HealthStub(self.channel)
        return (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status


@pytest.fixture
async def bridge() -> AsyncIterator[Running]:
    nobody = free_port(39001, "localhost")
    server = BridgeServer(
        Settings(host="localhost", port=0, triton_url=f"localhost:{nobody}", probe_interval=0.1, recovery_wait=0)
    )
    port = await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        yield Running(server, port, channel)
    await server.stop()


async def test_a_picture_fails_in_band(bridge: Running) -> None:
    stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(bridge.channel)
    call = stub.GenerateImage(starweave_pb2.ImageRequest(prompt="a fox"))
    response = await call
    assert response.error == "No model is ready at the moment; try again in a few seconds."
    assert ("starweave-error-code", "UNAVAILABLE") in tuple(await call.trailing_metadata())


async def test_there_are_no_models(bridge: Running) -> None:
    stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(bridge.channel)
    assert not (await stub.GetImageModels(starweave_pb2.ModelRequest())).models


async def test_health_says_not_serving(bridge: Running) -> None:
    assert await bridge.health("") == Health.NOT_SERVING
    assert await bridge.health("starweave.ImageGenerationService") == Health.NOT_SERVING
    assert await bridge.health("starweave.models") == Health.UNKNOWN


async def test_reflection_lists_the_services(bridge: Running) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(bridge.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([request]))
    answers = [answer async for answer in call]
    names = {service.name for service in answers[0].list_services_response.service}
    assert {"starweave.ImageGenerationService", "grpc.health.v1.Health"} <= names


async def test_a_taken_port_is_an_error(bridge: Running) -> None:
    with pytest.raises(RuntimeError):
        await BridgeServer(Settings(host="localhost", port=bridge.port)).start()


async def test_it_stops_while_somebody_watches_its_health(bridge: Running) -> None:
    stub = health_pb2_grpc.HealthStub(bridge.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service=""))
    assert (await watch.read()).status == Health.NOT_SERVING
    await bridge.server.stop()
    with pytest.raises(grpc.aio.AioRpcError):
        while True:
            await watch.read()


async def test_the_bridge_is_alive_whatever_became_of_triton(bridge: Running) -> None:
    assert await bridge.health("starweave.bridge") == Health.SERVING


async def test_a_balancer_may_ask_an_idle_connection_whether_it_lives(bridge: Running) -> None:
    """As Envoy's `connection_keepalive` does, of which gRPC closes a connection by default: too_many_pings."""
    reader, writer = await asyncio.open_connection("localhost", bridge.port)
    # RFC 9113: the preface with empty SETTINGS, then PING frames.
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    for number in range(4):
        await asyncio.sleep(1.2)
        payload = f"ping {number:3d}".encode()
        writer.write(bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + payload)
        assert await reader.readuntil(payload)
    writer.close()
