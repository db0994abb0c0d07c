"""At five times its capacity a server refuses at once what it cannot do, and does the rest as well as before."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

import grpc
import psutil

from benchmarks.faults.server import SupervisedServer
from benchmarks.statistics import Distribution
from benchmarks.verify.findings import Check, Findings
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.stack import StackSettings

# As many pictures as fill the batches of the demo, and a few that wait.
_CLIENTS = 16
# The first seconds of each turn are left out: nobody is in the way of the first pictures.
_SETTLING_SECONDS = 10.0
# In turns, first and last at capacity: the machine's speed changes within minutes.
_ROUNDS = 4
_CAPACITY_SECONDS = 25.0
_OVERLOAD_SECONDS = 40.0
_FACTOR = 5.0
# What a picture may take: clients that wait for less than the server could keep them waiting.
_LIMIT_SECONDS = 10.0
_AT_ONCE_SECONDS = 1.0
_LEAST_THROUGHPUT = 0.95
# What an accepted picture may take longer than at capacity, where what is under way is bounded to the same number.
_SLOWER = 1.25
# No picture is asked for twice: the library would have it.
_MORE_SEEDS = 2**24
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
    """Measures the capacity with clients that wait for their pictures, then offers five times as much.

    Once to a server that refuses by the pictures' time limits alone, once to one that has a bound on what is under way.
    """
    by_limit = _overload(folder / "limit", {}, say)
    by_bound = _overload(folder / "bound", {"STARWEAVE_MAX_IN_FLIGHT": str(_CLIENTS)}, say)
    name = f"at most {_CLIENTS} pictures under way"
    return Findings(
        (*_named("time limits", by_limit.checks()), *_named(name, (*by_bound.checks(), by_bound.check_latency()))),
        {
            f"{where}: {figure}": value
            for where, each in (("time limits", by_limit), (name, by_bound))
            for figure, value in each.figures().items()
        },
    )


@dataclass(frozen=True, slots=True)
class Overload:
    """What became of the pictures that were asked for in each turn: `full` at capacity, `over` with too many.

    `shares` are the parts of the machine's processor time that went to whom, with too many.
    """

    full: Sequence[Sequence[Answer]]
    over: Sequence[Sequence[Answer]]
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def capacity(self) -> float:
        """Pictures a second, to clients that wait for theirs."""
        return fmean(pictures_a_second(each, _CAPACITY_SECONDS) for each in self.full)

    @property
    def throughput(self) -> float:
        """Pictures made while too many were asked for, as a share of the capacity."""
        return fmean(pictures_a_second(each, _OVERLOAD_SECONDS) for each in self.over) / self.capacity

    def checks(self) -> tuple[Check, ...]:
        """What any server must show."""
        accepted, told = _times(self._with("")), _times(self._with(_REFUSED))
        return (
            Check(
                f"Throughput is at least {_LEAST_THROUGHPUT:.0%} of the capacity.", self.throughput >= _LEAST_THROUGHPUT
            ),
            Check(
                f"Every picture that is accepted is made within its limit of {_LIMIT_SECONDS:.0f} s.",
                not self._others and accepted.p99 <= _LIMIT_SECONDS,
            ),
            Check(f"A refusal is told within {_AT_ONCE_SECONDS:.0f} s (p99).", told.p99 <= _AT_ONCE_SECONDS),
        )

    def check_latency(self) -> Check:
        """What a server with a bound must show as well."""
        held = _times(self._with("")).p95 <= _SLOWER * self._times_at_capacity.p95
        return Check(f"Accepted pictures take at most {_SLOWER:g} times as long as at capacity (p95).", held)

    def figures(self) -> dict[str, int | float | str]:
        """What was counted and measured."""
        shares = {f"processor time of {who}, share of the machine": share for who, share in self.shares.items()}
        return {
            "capacity, pictures a second": self.capacity,
            "offered, pictures a second": len(self._answers) / (len(self.over) * _OVERLOAD_SECONDS),
            "throughput, share of the capacity": self.throughput,
            "pictures made": len(self._with("")),
            "pictures refused": len(self._with(_REFUSED)),
            "pictures that failed otherwise": len(self._others),
            "at capacity: p50, p95, p99, seconds": _text(self._times_at_capacity),
            "accepted: p50, p95, p99, seconds": _text(_times(self._with(""))),
            "refused: p50, p95, p99, seconds": _text(_times(self._with(_REFUSED))),
            **shares,
        }

    @property
    def _times_at_capacity(self) -> Distribution:
        return _times(list(chain(*self.full)))

    @property
    def _answers(self) -> list[Answer]:
        return list(chain(*self.over))

    @property
    def _others(self) -> list[Answer]:
        return [each for each in self._answers if each.code not in ("", _REFUSED)]

    def _with(self, code: str) -> list[Answer]:
        return [each for each in self._answers if each.code == code]


def pictures_a_second(answers: Sequence[Answer], seconds: float) -> float:
    """Pictures made in a load of that many seconds, its first seconds left out.

    Each counts by the part of its time that lies in them: those of a batch end together, and it would be chance whether
    the last batch, a twentieth of the pictures, ends in time.
    """
    start = min(each.began for each in answers)
    settled, end = start + _SETTLING_SECONDS, start + seconds
    parts = (
        max(0.0, min(each.ended, end) - max(each.began, settled)) / each.seconds for each in answers if not each.code
    )
    return sum(parts) / (end - settled)


def _overload(folder: Path, environment: Mapping[str, str], say: Callable[[str], None]) -> Overload:
    server = SupervisedServer(folder, StackSettings().repository, environment)
    try:
        server.wait_until_ready()
        full = [asyncio.run(_closed(server.address, 0))]
        rate = _FACTOR * pictures_a_second(full[0], _CAPACITY_SECONDS)
        say(f"Capacity: {rate / _FACTOR:.1f} pictures a second.")
        over: list[list[Answer]] = []
        spent: list[dict[str, float]] = []
        for number in range(1, _ROUNDS + 1):
            before = _processor_seconds(server)
            over.append(asyncio.run(_open(server.address, rate, number)))
            after = _processor_seconds(server)
            spent.append({who: after[who] - before[who] for who in before})
            full.append(asyncio.run(_closed(server.address, number * _MORE_SEEDS)))
    finally:
        server.stop()
    everything = sum(_spanned(each) for each in over) * (os.cpu_count() or 1)
    shares = {who: sum(each[who] for each in spent) / everything for who in spent[0]}
    result = Overload(full, over, shares)
    say(f"Throughput: {result.throughput:.0%} of the capacity.")
    return result


def _spanned(answers: Sequence[Answer]) -> float:
    return max(each.ended for each in answers) - min(each.began for each in answers)


def _processor_seconds(server: SupervisedServer) -> dict[str, float]:
    triton = server.triton()
    who = {
        "the clients": [psutil.Process()],
        "the bridge": [server.bridge()],
        "Triton": [triton, *triton.children(recursive=True)],
    }
    return {name: sum(sum(each.cpu_times()[:2]) for each in processes) for name, processes in who.items()}


def _named(name: str, checks: Sequence[Check]) -> list[Check]:
    return [Check(f"{name}: {each.sentence}", each.held) for each in checks]


def _times(answers: Sequence[Answer]) -> Distribution:
    return Distribution.of([each.seconds for each in answers])


def _text(distribution: Distribution) -> str:
    return f"{distribution.p50:.3f}, {distribution.p95:.3f}, {distribution.p99:.3f}"


def _request(seed: int) -> Any:
    settings = starweave_pb2.ImageSettings(steps=20, seed=seed)
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


async def _closed(address: str, first_seed: int) -> list[Answer]:
    answers: list[Answer] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        until = time.monotonic() + _CAPACITY_SECONDS

        async def client(number: int) -> None:
            while time.monotonic() < until:
                answers.append(await _ask(stub, first_seed + _CLIENTS * len(answers) + number))

        await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    return [each for each in answers if not each.code]


async def _open(address: str, rate: float, number: int) -> list[Answer]:
    """Poisson arrivals at `rate` a second, whatever becomes of those before; each number has arrivals of its own."""
    rng = random.Random(number)
    tasks = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        began = time.monotonic()
        due = 0.0
        while (due := due + rng.expovariate(rate)) < _OVERLOAD_SECONDS:
            await asyncio.sleep(began + due - time.monotonic())
            tasks.append(asyncio.create_task(_ask(stub, _OPEN_SEEDS + number * _MORE_SEEDS + len(tasks))))
        return list(await asyncio.gather(*tasks))
