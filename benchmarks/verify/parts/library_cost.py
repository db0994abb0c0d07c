"""What a library costs: the throughput of a bridge with one, as a share of that of a bridge without, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.image_client import serve_load
from benchmarks.loads import ClosedLoop, Sizes, Workload, draw
from benchmarks.process_usage import Usage, cpu_seconds_between, server_usage
from benchmarks.served import Served
from benchmarks.statistics import over_trials, ratio_of_trials
from benchmarks.verify.findings import Check, Findings
from standalone.bridge import Bridge
from standalone.ports import LOOPBACK, free_port
from standalone.stack import Stack, StackSettings
from standalone.status import Status

_MODEL = "demo"
_SIZES = Sizes(normal=128, large=256)
# Many short turns: the machine's speed changes within a minute.
_TRIALS = 24
_PICTURES = 64
_CLIENTS = 16
# After each turn: what is recorded a moment later is not to be done in the other's.
_PAUSE_SECONDS = 2.0
_MOST_LOSS = 0.02


@dataclass(frozen=True, slots=True)
class Turn:
    """Pictures a second, and the bridges' processor time for each, in milliseconds."""

    rate: float
    milliseconds: float


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """Two bridges on one Triton get the same load in turns, each picture with a seed of its own: none is a repeat."""
    stack = Stack(StackSettings(folder=folder / "stack", library=folder / "library", repeats=False), Status())
    (folder / "without").mkdir()
    without = Bridge(folder / "without", LOOPBACK, free_port(50061), stack.triton.grpc_url, repeats=False)
    turns: dict[str, list[Turn]] = {"with": [], "without": []}
    try:
        stack.start_missing(time.sleep)
        without.start()
        pair = [("without", without), ("with", stack.bridge)]
        for _, bridge in pair:
            _turn(bridge, -1)
        for trial in range(_TRIALS):
            # Each is first as often as the other.
            for name, bridge in pair if trial % 2 else reversed(pair):
                turns[name].append(_turn(bridge, trial))
            say(f"trial {trial + 1}: {turns['with'][-1].rate:.3f} with, {turns['without'][-1].rate:.3f} without")
    finally:
        without.stop()
        stack.close()
    return findings(turns["with"], turns["without"])


def findings(with_library: list[Turn], without: list[Turn]) -> Findings:
    """What the turns of the two bridges show; they were taken in pairs."""
    share = ratio_of_trials([turn.rate for turn in with_library], [turn.rate for turn in without])
    return Findings(
        (Check(f"The library costs at most {_MOST_LOSS:.0%} of the throughput.", share.value >= 1 - _MOST_LOSS),),
        {
            "throughput with a library, share of that without": str(share),
            "trials": share.trials,
            "processor time of the bridges with a library, milliseconds a picture": str(
                over_trials([turn.milliseconds for turn in with_library])
            ),
            "processor time of the bridges without, milliseconds a picture": str(
                over_trials([turn.milliseconds for turn in without])
            ),
        },
    )


def _turn(bridge: Bridge, seed: int) -> Turn:
    before = server_usage()
    load = ClosedLoop(draw(Workload.UNIFORM, _PICTURES, _SIZES, seed), _CLIENTS)
    served = Served.of(serve_load(bridge.address, _MODEL, load, lambda picture: 1.0))
    time.sleep(_PAUSE_SECONDS)
    return Turn(served.pictures_per_second, 1000 * _bridges_seconds(before, server_usage()) / _PICTURES)


def _bridges_seconds(before: dict[str, Usage], after: dict[str, Usage]) -> float:
    spent = cpu_seconds_between(before, after)
    return sum(seconds for name, seconds in spent.items() if name.startswith("bridge"))
