"""A way to Triton that can be cut while Triton itself goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Way:
    """Passes bytes on to `host:port` in both directions."""

    def __init__(self, url: str) -> None:
        self._host, _, self._port = url.rpartition(":")
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Breaks every connection; new ones are passed on again."""
        for writer in self._writers:
            writer.transport.abort()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection until either side ends it."""
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        ends = {writer, far_writer}
        self._writers |= ends
        pipes = [
            asyncio.create_task(_pipe(reader, far_writer)),
            asyncio.create_task(_pipe(far_reader, writer)),
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            for end in ends:
                end.transport.abort()
            self._writers -= ends


@asynccontextmanager
async def way_to(url: str) -> AsyncIterator[tuple[Way, str]]:
    """A way to `url` and the address of its near end."""
    way = Way(url)
    server = await asyncio.start_server(way.pass_on, "127.0.0.1", 0)
    try:
        yield way, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        way.cut()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return
