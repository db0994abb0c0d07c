"""1,000 pictures of 20 sizes and all samplers: no server process's memory grows over the last 800."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from diffusion_engine.samplers import SAMPLERS

from benchmarks.process_usage import Usage, server_usage
from benchmarks.verify.findings import Check, Findings
from protos import starweave_pb2
from standalone.client import connect, image_service
from standalone.stack import Stack, StackSettings
from standalone.status import Status

_SIZES = tuple(itertools.product((64, 96, 128, 192, 256), (64, 128, 160, 256)))
_ROUND, _ROUNDS, _SETTLED = 50, 20, 4
_CLIENTS = 8
_STEPS = (3, 9)
_SCALES = (1.0, 5.0)
_GROWTH = 1.05
_TIMEOUT_SECONDS = 300.0


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Serves the demo to eight clients, round by round, and looks at every process between two rounds."""
    stack = Stack(StackSettings(folder=folder), Status())
    rounds: list[Mapping[str, Usage]] = []
    try:
        stack.start_missing(threading.Event().wait)
        for number in range(_ROUNDS):
            _make(stack.bridge.address, _requests(number))
            rounds.append(server_usage())
            say(f"{(number + 1) * _ROUND} pictures")
    finally:
        stack.close()
    return _findings(rounds)


def _requests(number: int) -> list[starweave_pb2.ImageRequest]:
    """A round's pictures; every size and every sampler is among them."""
    rng = random.Random(number)
    samplers = list(SAMPLERS)
    return [
        starweave_pb2.ImageRequest(
            # The same in every round: Triton's response cache, which is bounded, fills up before it is looked at.
            prompt=f"a red circle on a blue background, {index}",
            settings=starweave_pb2.ImageSettings(
                width=_SIZES[index % len(_SIZES)][0],
                height=_SIZES[index % len(_SIZES)][1],
                steps=rng.randint(*_STEPS),
                guidance_scale=rng.choice(_SCALES),
                sampler=samplers[index % len(samplers)],
            ),
        )
        for index in range(_ROUND)
    ]


def _make(address: str, requests: list[starweave_pb2.ImageRequest]) -> None:
    """Raises RuntimeError with the server's sentence where a picture was not made."""
    with connect(address) as channel, ThreadPoolExecutor(_CLIENTS) as pool:
        service = image_service(channel)
        for response in pool.map(lambda request: service.GenerateImage(request, timeout=_TIMEOUT_SECONDS), requests):
            if response.error:
                raise RuntimeError(response.error)


def _findings(rounds: list[Mapping[str, Usage]]) -> Findings:
    settled = rounds[_SETTLED - 1]
    checks, figures = [], {}
    for name, before in settled.items():
        later = [usage[name].resident for usage in rounds[_SETTLED:] if name in usage]
        growth = max(later, default=0) / before.resident
        checks.append(
            Check(
                f"{name}: at most {growth:.3f} times its resident memory after {_SETTLED * _ROUND} pictures",
                len(later) == _ROUNDS - _SETTLED and growth <= _GROWTH,
            )
        )
        figures[f"{name}, MiB after {_SETTLED * _ROUND} pictures"] = before.resident / 2**20
        figures[f"{name}, MiB after {_ROUNDS * _ROUND} pictures"] = later[-1] / 2**20 if later else 0
    return Findings(tuple(checks), figures)
