"""Faults of the disk."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from benchmarks.faults.server import SupervisedServer

_BLOCK = b"\0" * 2**20


async def disk_full(server: SupervisedServer, size: float) -> None:
    """Nothing can be written for `size` seconds where the server's logs and caches are.

    The server's folder must be on a small file system of its own: all of it is filled.
    """
    ballast = server.folder / "ballast"
    await asyncio.to_thread(_fill, ballast)
    try:
        await asyncio.sleep(size)
    finally:
        ballast.unlink()


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for block in (_BLOCK, b"\0"):
            try:
                while file.write(block):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
