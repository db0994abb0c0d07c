"""The production stack, run natively: two pairs behind Envoy, with PostgreSQL, Redis and Prometheus beside them."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from protos import starweave_pb2, starweave_pb2_grpc
from standalone.ports import LOOPBACK
from tests.deploy.programs import program
from tests.deploy.test_prometheus import DASHBOARDS, queries
from tests.triton.production_stack import ProductionStack

START_SECONDS = 150.0
SERVICES = ("postgres", "redis", "triton-1", "triton-2", "bridge-1", "bridge-2", "envoy", "prometheus")
# No GPU, no API key, no style, no failure and no limit reached: their queries answer nothing.
EMPTY = (
    "nv_gpu_", "key_pictures_total", "fallbacks_total", "retries_total", "refusals_total", "circuit_open",
    "cancels_total", 'code!="OK', 'code!~"OK', 'code="CANCELLED"', "nv_inference_request_failure", "dropped_prompts",
    "styled_pictures_total", "exposures_total",
)  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Iterator[ProductionStack]:
    """The stack, every health check of which has succeeded."""
    for name in ("postgres", "redis-server", "prometheus"):
        program(name)
    # Not below pytest's own folder: PostgreSQL's user has to reach it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        stack = ProductionStack(Path(folder))
        try:
            for name in SERVICES:
                stack.start(name)
            for name in SERVICES:
                until(lambda name=name: stack.is_healthy(name), f"{name} is healthy", stack, name)
            wait_for_balance(stack)
            yield stack
        finally:
            stack.stop()


def wait_for_balance(stack: ProductionStack) -> None:
    """Waits until Envoy has found both bridges healthy: it asks them every two seconds."""
    url = f"http://{LOOPBACK}:{stack.port('envoy', 9902)}/metrics"
    both = 'envoy_cluster_membership_healthy{envoy_cluster_name="bridges"} 2'

    def is_balanced() -> bool:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return both in answer.read().decode()

    until(is_balanced, "both bridges are balanced", stack, "envoy")


def until(condition: Any, what: str, stack: ProductionStack, name: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not so in {seconds:.0f} s: {what}\n{stack.processes[name].log_tail(40)}")
        time.sleep(0.2)


def request(steps: int = 4, side: int = 64) -> Any:
    settings = starweave_pb2.ImageSettings(width=side, height=side, steps=steps)
    return starweave_pb2.ImageRequest(prompt="a red circle", settings=settings)


async def pictures(stack: ProductionStack, count: int, clients: int, steps: int = 4) -> list[str]:
    """What became of pictures that some clients ask the balancer for, one after the other each: "" or the failure."""
    left = iter(range(count))

    async def client() -> list[str]:
        found = []
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{stack.port('envoy', 50051)}") as channel:
            stub: Any = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
            for _ in left:
                try:
                    response = await stub.GenerateImage(request(steps), timeout=300)
                    found.append(response.error)
                except grpc.aio.AioRpcError as error:
                    found.append(f"{error.code().name}: {error.details()}")
        return found

    return [each for found in await asyncio.gather(*(client() for _ in range(clients))) for each in found]


def ask(stack: ProductionStack, query: str) -> list[Any]:
    """The samples that Prometheus answers a query with. Raises HTTPError, whose body says what is wrong with it."""
    url = f"http://{LOOPBACK}:{stack.port('prometheus', 9090)}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        samples: list[Any] = json.load(answer)["data"]["result"]
    return samples


async def test_both_pairs_make_pictures(stack: ProductionStack) -> None:
    assert await pictures(stack, 24, 6) == [""] * 24
    # What is scraped twice has a rate.
    shares = "sum by (pair) (starweave_bridge_pictures_total{code='OK'})"
    until(lambda: sum(float(each["value"][1]) for each in ask(stack, shares)) >= 24, "all scraped", stack, "prometheus")
    busy = {each["metric"]["pair"] for each in ask(stack, shares) if float(each["value"][1]) > 0}
    assert busy == {"1", "2"}, stack.processes["envoy"].log_tail(40)


def test_every_query_of_the_dashboards_is_answered(stack: ProductionStack) -> None:
    until(lambda: ask(stack, "starweave:waiting_seconds:mean2m"), "the rules were evaluated", stack, "prometheus")
    for path in DASHBOARDS:
        for query in queries(json.loads(path.read_text())):
            query = query.replace("$__rate_interval", "1m").replace('"$pair"', '".*"')
            assert ask(stack, query) or any(part in query for part in EMPTY), f"{path.name}: {query}"


def test_nothing_is_down_and_no_alert_is_raised(stack: ProductionStack) -> None:
    assert {each["value"][1] for each in ask(stack, "up")} == {"1"}
    assert ask(stack, "ALERTS{alertstate='firing'}") == []


async def test_a_bridge_that_is_killed_loses_no_picture(stack: ProductionStack) -> None:
    await asyncio.to_thread(wait_for_balance, stack)
    load = asyncio.create_task(pictures(stack, 40, 8, steps=20))
    await asyncio.sleep(1)
    psutil.Process(stack.processes["bridge-2"].command_pid).kill()
    assert await load == [""] * 40
    # As `restart: always` does.
    stack.start("bridge-2")
    await asyncio.to_thread(until, lambda: stack.is_healthy("bridge-2"), "healthy", stack, "bridge-2")


async def test_a_bridge_that_is_stopped_drains_and_loses_no_picture(stack: ProductionStack) -> None:
    await asyncio.to_thread(wait_for_balance, stack)
    load = asyncio.create_task(pictures(stack, 40, 8, steps=20))
    await asyncio.sleep(1)
    bridge = stack.processes["bridge-1"]
    psutil.Process(bridge.command_pid).send_signal(signal.SIGTERM)
    assert await load == [""] * 40
    await asyncio.to_thread(until, lambda: bridge.exit_status == 0, "ended", stack, "bridge-1")
    stack.start("bridge-1")
    await asyncio.to_thread(until, lambda: stack.is_healthy("bridge-1"), "healthy", stack, "bridge-1")


@pytest.mark.timeout(600)
async def test_a_container_whose_model_process_dies_ends_itself(stack: ProductionStack) -> None:
    """For `restart: always`, or the kubelet, to start it again; no picture is lost over that."""
    triton = stack.processes["triton-1"]
    tree = psutil.Process(triton.command_pid).children(recursive=True)
    (unet,) = [each for each in tree if "/demo_unet/" in " ".join(each.cmdline()) and "stub" in each.cmdline()[0]]
    await asyncio.to_thread(wait_for_balance, stack)
    load = asyncio.create_task(pictures(stack, 40, 4))
    unet.kill()
    await asyncio.to_thread(until, lambda: triton.exit_status is not None, "ended", stack, "triton-1")
    assert triton.exit_status == 1
    assert re.search(r"The (process of the )?model demo_unet, version 1, (has died|does not answer)", triton.log_tail())
    assert not [each for each in tree if each.is_running()]
    stack.start("triton-1")
    assert await load == [""] * 40
    await asyncio.to_thread(until, lambda: stack.is_healthy("bridge-1"), "healthy", stack, "bridge-1")
