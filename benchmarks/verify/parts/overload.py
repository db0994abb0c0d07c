"""At five times its capacity a server refuses at once what it cannot do, and does the rest as well as before."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.faults.server import SupervisedServer
from benchmarks.statistics import Distribution
from benchmarks.verify.findings import Check, Findings
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.stack import StackSettings

_CLIENTS = 16
_CAPACITY_SECONDS = 60.0
_OVERLOAD_SECONDS = 120.0
_FACTOR = 5.0
# What a picture may take: clients that wait for less than the server could keep them waiting.
_LIMIT_SECONDS = 10.0
_AT_ONCE_SECONDS = 1.0
_LEAST_THROUGHPUT = 0.95
# Beyond those of the pictures that the capacity was measured with.
_OPEN_SEEDS = 2**30
_REFUSED = "RESOURCE_EXHAUSTED"


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture, or a refusal with its code; times are monotonic seconds."""

    began: float
    ended: float
    code: str

    @property
    def seconds(self) -> float:
        """From asking to the answer."""
        return self.ended - self.began


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Measures the capacity with clients that wait for their pictures, then offers five times as much."""
    server = SupervisedServer(folder, StackSettings().repository)
    try:
        server.wait_until_ready()
        full = asyncio.run(_closed(server.address))
        capacity = len(full) / _CAPACITY_SECONDS
        say(f"Capacity: {capacity:.1f} pictures a second.")
        answers = asyncio.run(_open(server.address, _FACTOR * capacity))
    finally:
        server.stop()
    return findings(capacity, full, answers, _OVERLOAD_SECONDS)


def findings(capacity: float, full: list[Answer], answers: list[Answer], seconds: float) -> Findings:
    """What the answers under load say beside those at capacity."""
    made = [each for each in answers if not each.code]
    refused = [each for each in answers if each.code == _REFUSED]
    other = [each for each in answers if each.code not in ("", _REFUSED)]
    before = Distribution.of([each.seconds for each in full])
    accepted = Distribution.of([each.seconds for each in made])
    told = Distribution.of([each.seconds for each in refused])
    start = min(each.began for each in answers)
    throughput = sum(each.ended <= start + seconds for each in made) / seconds / capacity
    return Findings(
        checks=(
            Check(f"Throughput is at least {_LEAST_THROUGHPUT:.0%} of the capacity.", throughput >= _LEAST_THROUGHPUT),
            Check(
                f"Every picture that is accepted is made within its limit of {_LIMIT_SECONDS:.0f} s.",
                not other and accepted.p99 <= _LIMIT_SECONDS,
            ),
            Check(f"A refusal is told within {_AT_ONCE_SECONDS:.0f} s (p99).", told.p99 <= _AT_ONCE_SECONDS),
        ),
        figures={
            "capacity, pictures a second": capacity,
            "offered, pictures a second": len(answers) / seconds,
            "throughput, share of the capacity": throughput,
            "pictures made": len(made),
            "pictures refused": len(refused),
            "pictures that failed otherwise": len(other),
            "at capacity: p50, p95, p99, seconds": _text(before),
            "accepted: p50, p95, p99, seconds": _text(accepted),
            "refused: p50, p95, p99, seconds": _text(told),
        },
    )


def _text(distribution: Distribution) -> str:
    return f"{distribution.p50:.3f}, {distribution.p95:.3f}, {distribution.p99:.3f}"


def _request(seed: int) -> Any:
    settings = starweave_pb2.ImageSettings(width=64, height=64, steps=20, seed=seed)
    return starweave_pb2.ImageRequest(prompt="a red circle", settings=settings, timeout_ms=round(_LIMIT_SECONDS * 1000))


async def _ask(stub: Any, seed: int) -> Answer:
    began = time.monotonic()
    call = stub.GenerateImage(_request(seed), timeout=_LIMIT_SECONDS + 20)
    try:
        await call
        codes = [value for key, value in await call.trailing_metadata() or () if key == "starweave-error-code"]
        code = codes[0] if codes else ""
    except grpc.aio.AioRpcError as error:
        code = error.code().name
    return Answer(began, time.monotonic(), code)


async def _closed(address: str) -> list[Answer]:
    answers: list[Answer] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        until = time.monotonic() + _CAPACITY_SECONDS

        async def client(number: int) -> None:
            while time.monotonic() < until:
                # Never twice the same picture: the library would have it.
                answers.append(await _ask(stub, _CLIENTS * len(answers) + number))

        await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    return [each for each in answers if not each.code and each.ended <= until]


async def _open(address: str, rate: float) -> list[Answer]:
    """Poisson arrivals at `rate` a second, whatever becomes of those before."""
    rng = random.Random(1)
    tasks = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        began = time.monotonic()
        due = 0.0
        while (due := due + rng.expovariate(rate)) < _OVERLOAD_SECONDS:
            await asyncio.sleep(began + due - time.monotonic())
            tasks.append(asyncio.create_task(_ask(stub, _OPEN_SEEDS + len(tasks))))
        return list(await asyncio.gather(*tasks))
