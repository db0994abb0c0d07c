"""Rates that two bridges count together, in a real Redis."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.errors import LimitReached
from bridge.limits.admission import Admission, Limits
from bridge.observability.metrics import Metrics
from bridge.security.caller import Caller
from standalone.ports import free_port

ANNA = Caller("", "anna")


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A Redis of the test's own; its `args` end with its port."""
    server = shutil.which("redis-server")
    assert server is not None, "install Debian's redis-server"
    port = str(free_port(18379, "127.0.0.1"))
    command = [server, "--save", "", "--dir", str(tmp_path), "--bind", "127.0.0.1", "--port", port]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", int(port))
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    await writer.wait_closed()
                    break
            yield process
        finally:
            process.kill()


def bridge(redis: subprocess.Popen[bytes]) -> Admission:
    assert isinstance(redis.args, list)
    url = f"redis://127.0.0.1:{redis.args[-1]}/0"
    return Admission(Limits(max_in_flight=10, user_rate="3/hour", store_url=url), Metrics())


async def test_two_bridges_count_together_and_one_that_loses_the_store_limits_nothing(
    redis: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    first, second = bridge(redis), bridge(redis)
    await first.count(ANNA, 2)
    await second.count(ANNA, 1)
    for door in (first, second):
        with pytest.raises(LimitReached, match="You may ask for 3 pictures an hour"):
            await door.count(ANNA, 1)
    await second.count(Caller("", "ben"), 3)
    redis.kill()
    redis.wait()
    await first.count(ANNA, 1)
    assert "The store of rates does not answer" in caplog.text
    await first.close()
    await second.close()
