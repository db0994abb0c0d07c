"""Faults of clients: those that do not read, are many, or fall silent midway."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.faults.server import SupervisedServer
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.ports import LOOPBACK

_SECONDS = 3.0
# How an HTTP/2 client begins (RFC 9113, section 3.4), with empty SETTINGS; then HEADERS of which most are missing.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HALF_HEADERS = bytes([0, 0, 64, 1, 4, 0, 0, 0, 1]) + b"\x83\x86"
_ALONE = [("grpc.use_local_subchannel_pool", 1)]


async def slow_readers(server: SupervisedServer, size: float) -> None:
    """`size` clients ask for a stream of large pictures and read nothing of it, then go away."""
    settings = starweave_pb2.ImageSettings(width=256, height=256, steps=2)
    request = starweave_pb2.ImageVariationsRequest(
        base_request=starweave_pb2.ImageRequest(prompt="a star", settings=settings),
        num_variations=4,
        variation_strength=1,
    )
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(int(size)):
            # As little as gRPC lets a client take in advance.
            options = [*_ALONE, ("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1)]
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(server.address, options=options))
            stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
            call = stub.GenerateImageVariations(request, timeout=60)
            await call.wait_for_connection()
            calls.append(call)
        await asyncio.sleep(_SECONDS)
        for call in calls:
            call.cancel()


async def connections(server: SupervisedServer, size: float) -> None:
    """`size` clients at the same time, each of which is told the server's health."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(server.address, options=_ALONE))
            for _ in range(int(size))
        ]
        request = health_pb2.HealthCheckRequest()
        stubs: list[Any] = [health_pb2_grpc.HealthStub(channel) for channel in channels]
        await asyncio.gather(*(stub.Check(request, timeout=60, wait_for_ready=True) for stub in stubs))


async def half_open(server: SupervisedServer, size: float) -> None:
    """`size` connections that fall silent: at once, after their preface, or in the middle of a request's headers."""
    beginnings = (b"", _PREFACE + _SETTINGS, _PREFACE + _SETTINGS + _HALF_HEADERS)
    writers = []
    for number in range(int(size)):
        _, writer = await asyncio.open_connection(LOOPBACK, server.port)
        writer.write(beginnings[number % len(beginnings)])
        await writer.drain()
        writers.append(writer)
    await asyncio.sleep(_SECONDS)
    for writer in writers:
        writer.transport.abort()
