"""`python -m benchmarks.library`: what the library costs, as a share of the throughput without it.

Two bridges on one Triton, one of them with a library, get the same load in turns, with seeds of their own: nothing is
repeated.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks.image_client import serve_load
from benchmarks.loads import ClosedLoop, Sizes, Workload, draw
from benchmarks.served import Served
from benchmarks.statistics import ratio_of_trials
from standalone.bridge import Bridge
from standalone.ports import LOOPBACK, free_port
from standalone.stack import Stack, StackSettings
from standalone.status import Status
from standalone.stop_signals import StopSignals

_MODEL = "demo"
_SIZES = Sizes(normal=128, large=256)
# After each turn: what is recorded a moment later is not to be done in the other's.
_PAUSE_SECONDS = 2.0
# The bound on what the library may cost.
BOUND = 0.02


@click.command()
@click.option("--trials", default=5, show_default=True, help="How often each of the two is measured.")
@click.option("--pictures", default=128, show_default=True, help="Pictures of one trial.")
@click.option("--clients", default=16, show_default=True, help="Clients that ask at the same time.")
def main(trials: int, pictures: int, clients: int) -> None:
    """Measure the throughput with a library and without; the status is 1 where it costs more than 2 %."""
    with StopSignals() as signals, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stack = Stack(StackSettings(folder=folder / "stack", library=folder / "library", repeats=False), Status())
        (folder / "without").mkdir()
        without = Bridge(folder / "without", LOOPBACK, free_port(50061), stack.triton.grpc_url, repeats=False)
        try:
            stack.start_missing(signals.pause)
            without.start()
            _measure(without, clients, clients, seed=-1)
            _measure(stack.bridge, clients, clients, seed=-2)
            rates: dict[str, list[float]] = {"with": [], "without": []}
            for trial in range(trials):
                # In turns, and each first as often as the other: the machine's speed changes.
                pair = [("without", without), ("with", stack.bridge)]
                for name, bridge in pair if trial % 2 else reversed(pair):
                    rates[name].append(_measure(bridge, pictures, clients, trial))
                    time.sleep(_PAUSE_SECONDS)
                click.echo(f"trial {trial + 1}: {rates['with'][-1]:.3f} with, {rates['without'][-1]:.3f} without")
        finally:
            without.stop()
            stack.close()
    ratio = ratio_of_trials(rates["with"], rates["without"])
    click.echo(f"Throughput with a library, as a share of that without: {ratio}.")
    sys.exit(ratio.value < 1 - BOUND)


def _measure(bridge: Bridge, pictures: int, clients: int, seed: int) -> float:
    """Pictures a second of a closed loop."""
    load = ClosedLoop(draw(Workload.UNIFORM, pictures, _SIZES, seed), clients)
    return Served.of(serve_load(bridge.address, _MODEL, load, lambda picture: 1.0)).pictures_per_second


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.library")
