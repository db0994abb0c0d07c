"""Faults of processes: killed, paused, in each other's way, with a clock that jumps."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc

from benchmarks.faults.load import Load
from benchmarks.faults.server import SupervisedServer
from standalone.client import SERVICE, Health, connect, health
from standalone.ports import LOOPBACK, free_port

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_START_SECONDS = 60.0


class FaultFailed(Exception):
    """The fault did not show what it should; the message says what was there instead."""


async def model_process_killed(server: SupervisedServer, size: float) -> None:
    """The process of the UNet is gone; Triton never starts it again, and requests in it never end."""
    server.model_process("demo_unet").kill()


async def triton_killed(server: SupervisedServer, size: float) -> None:
    """Triton is gone with everything in it."""
    server.triton().kill()


async def bridge_killed(server: SupervisedServer, size: float) -> None:
    """The bridge is gone with its connections."""
    server.bridge().kill()


async def triton_paused(server: SupervisedServer, size: float) -> None:
    """Triton gets no processor for `size` seconds."""
    triton = server.triton()
    triton.send_signal(signal.SIGSTOP)
    await asyncio.sleep(size)
    triton.send_signal(signal.SIGCONT)


async def port_taken(server: SupervisedServer, size: float) -> None:
    """A second bridge is started on the port of the first: it says so and ends, and the first goes on."""
    second = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", f"--host={LOOPBACK}", f"--port={server.port}"),
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(_START_SECONDS):
        _, errors = await second.communicate()
    if second.returncode != 1 or f"The bridge cannot listen on {LOOPBACK}:{server.port}" not in errors.decode():
        raise FaultFailed(f"a bridge on a taken port ended with {second.returncode}: {errors.decode()}")


async def clock_jumps(server: SupervisedServer, size: float) -> None:
    """The wall clock goes `size` seconds forward, then as far back, for a bridge of its own on the server's Triton.

    Its pictures are made all the same. libfaketime reads the shift from a file at each look at the clock.
    """
    if not _FAKETIME.is_file():
        raise FaultFailed("libfaketime is not installed: `apt-get install libfaketime`.")
    shift = server.folder / "clock"
    shift.write_text("+0")
    port = free_port(27052)
    faked = {
        "LD_PRELOAD": str(_FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(shift),
        "FAKETIME_NO_CACHE": "1",
        # Setting a machine's clock leaves its monotonic clock alone.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    bridge = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", f"--host={LOOPBACK}", f"--port={port}"),
        f"--triton-url={server.triton_grpc()}",
        env={**os.environ, **faked},
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"{LOOPBACK}:{port}"
        async with asyncio.timeout(_START_SECONDS):
            await asyncio.to_thread(_until_serving, address)
        for seconds in (size, -size):
            load = Load(address, 2)
            load.start()
            await load.until_made(2, 0, _START_SECONDS)
            shift.write_text(f"{seconds:+.0f}")
            await load.until_made(8, 0, _START_SECONDS)
            await load.stop()
            failures = [each.failure for each in load.asked if each.failure]
            if failures or len(load.asked) < 8:
                raise FaultFailed(f"the clock went by {seconds:+.0f} s: {len(load.asked)} pictures, {failures}")
    finally:
        bridge.terminate()
        await bridge.wait()


def _until_serving(address: str) -> None:
    with connect(address) as channel:
        grpc.channel_ready_future(channel).result(_START_SECONDS)
        while health(channel, SERVICE) is not Health.SERVING:
            pass
