"""The faults, each with what is expected of a server that it happens to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.faults import clients, disks, processes, versions
from benchmarks.faults.load import DEADLINE_SECONDS, Load
from benchmarks.faults.server import Holdings, SupervisedServer

_CLIENTS = 4
_RECOVERY_SECONDS = 240.0
_SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    `happen(server, size)` makes it happen and undoes what would not end by itself; `size` is the count of whatever
    there are many of, or seconds, full or small. `loses`: requests may fail, each with a clear error.
    """

    name: str
    happen: Callable[[SupervisedServer, float], Awaitable[None]]
    full: float = 0
    small: float = 0
    loses: bool = False


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("a version that fails to load", versions.broken_version),
        Fault("slow readers", clients.slow_readers, full=64, small=8),
        Fault("connections", clients.connections, full=1000, small=200),
        Fault("half-open streams", clients.half_open, full=500, small=60),
        Fault("port taken", processes.port_taken),
        Fault("disk full", disks.disk_full, full=10, small=2),
        Fault("Triton paused", processes.triton_paused, full=10, small=3),
        Fault("clock jumps", processes.clock_jumps, full=3600, small=3600),
        # A client that is not behind Envoy loses its connection with the bridge.
        Fault("kill -9 of the bridge", processes.bridge_killed, loses=True),
        Fault("kill -9 of a model process", processes.model_process_killed),
        Fault("kill -9 of Triton", processes.triton_killed),
    )
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fault has cost.

    `lost` are the failures that clients were told, `unanswered` the requests whose deadline passed, `leaks` what the
    server holds more of than before; `recovery_seconds` ends with the first picture that was asked for after the fault.
    """

    fault: str
    asked: int
    lost: tuple[str, ...]
    unanswered: int
    recovery_seconds: float
    leaks: tuple[str, ...]


async def endure(
    server: SupervisedServer, fault: Fault, size: float, deadline_seconds: float = DEADLINE_SECONDS
) -> Outcome:
    """Lets a fault happen to a server under load, and waits until it has recovered and come to rest."""
    # The bridge's pools start their threads with the first clients that come together, and keep them: no leak.
    await _warm_up(server)
    before = await asyncio.to_thread(server.holdings)
    load = Load(server.address, _CLIENTS, deadline_seconds=deadline_seconds)
    load.start()
    await load.until_made(_CLIENTS, 0, _RECOVERY_SECONDS)
    happened = time.monotonic()
    await fault.happen(server, size)
    await load.until_made(_CLIENTS, happened, _RECOVERY_SECONDS)
    # Only now: what fails because the fault is being undone counts as well.
    await asyncio.to_thread(server.wait_until_ready)
    await load.until_made(_CLIENTS, time.monotonic(), _RECOVERY_SECONDS)
    await load.stop()
    made = load.made_since(happened)
    return Outcome(
        fault=fault.name,
        asked=len(load.asked),
        lost=tuple(each.failure for each in load.asked if each.failure and not each.unanswered),
        unanswered=sum(each.unanswered for each in load.asked),
        recovery_seconds=min((each.ended for each in made), default=float("inf")) - happened,
        leaks=tuple(await _leaks(server, before)),
    )


async def _warm_up(server: SupervisedServer) -> None:
    """Fills the server's pools with the load that the fault will come into, and lets it go."""
    load = Load(server.address, _CLIENTS)
    load.start()
    await load.until_made(4 * _CLIENTS, 0, _RECOVERY_SECONDS)
    await load.stop()


async def _leaks(server: SupervisedServer, before: Holdings) -> list[str]:
    """What is still held once connections that were closed have been noticed."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while leaks := (await asyncio.to_thread(server.holdings)).more_than(before):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.5)
    return leaks
