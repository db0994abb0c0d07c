"""What a VAE decoder at work costs the denoising beside it: `python -m benchmarks.decode_contention` prints it.

As in Triton, the decoder runs in a process of its own, on the same cores. The steps that the UNet does not take
meanwhile are the price of a decoded picture; the threads and the batches of the decoder with the lowest price are the
ones to export.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnxruntime

from benchmarks.bare_session import LATENT_CHANNELS
from benchmarks.family import Family
from benchmarks.in_process import RealMachine
from benchmarks.loads import PIXELS_A_LATENT
from export.demo_family import CHECKPOINT, REPOSITORY

_ROWS = 8
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DecodeContention:
    """Denoising in steps of eight native rows beside a decoder that always decodes.

    Times are milliseconds. `lost` is the denoising time that a decoded picture costs: the steps not taken, over the
    pictures decoded. `stall` is the 99th percentile of a step beside the decoder over the median of one alone.
    """

    threads: int
    batch: int
    side: int
    decode: float
    lost: float
    stall: float


@dataclass(frozen=True, slots=True)
class _Decoder:
    """What the other process is to do."""

    graph: Path
    threads: int
    batch: int
    side: int

    def run(self, ready: Event, stop: Event, decoded: Any) -> None:
        """Decodes until told to stop; `decoded` counts pictures."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        session = onnxruntime.InferenceSession(str(self.graph), options, providers=["CPUExecutionProvider"])
        side = self.side // PIXELS_A_LATENT
        latents = np.random.default_rng(0).standard_normal((self.batch, LATENT_CHANNELS, side, side), np.float32)
        session.run(None, {"LATENTS": latents})
        ready.set()
        while not stop.is_set():
            session.run(None, {"LATENTS": latents})
            decoded.value += self.batch


def decode_contention(
    family: Family, repository: Path, machine: RealMachine, batches: Sequence[int], seconds: float
) -> list[DecodeContention]:
    """Measures every arrangement for `seconds`, native pictures and ones of twice the side."""
    graph = repository / f"{family.name}_vae_decoder" / "1" / "model.onnx"
    step = machine.step_of(_ROWS)
    alone = _steps(step, seconds)
    found = []
    threads = sorted({1, os.cpu_count() or 1})
    for side, count, batch in itertools.product((family.sizes.normal, family.sizes.large), threads, batches):
        decoder = _Decoder(graph, count, batch, side)
        beside, decoded = _beside(decoder, step, seconds)
        passed = sum(beside)
        lost = passed - len(beside) * float(np.mean(alone))
        found.append(
            DecodeContention(
                threads=count,
                batch=batch,
                side=side,
                decode=1e3 * passed / max(decoded, 1),
                lost=1e3 * lost / max(decoded, 1),
                stall=float(np.percentile(beside, 99) / np.median(alone)),
            )
        )
    return found


def _beside(decoder: _Decoder, step: Callable[[], None], seconds: float) -> tuple[list[float], int]:
    context = multiprocessing.get_context("spawn")
    ready, stop, decoded = context.Event(), context.Event(), context.Value("q", 0)
    process = context.Process(target=decoder.run, args=(ready, stop, decoded), daemon=True)
    process.start()
    try:
        if not ready.wait(_START_SECONDS):
            raise TimeoutError("The decoder's process did not start.")
        before = decoded.value
        return _steps(step, seconds), decoded.value - before
    finally:
        stop.set()
        process.join()


def _steps(step: Callable[[], None], seconds: float) -> list[float]:
    """The seconds of step after step."""
    step()
    times: list[float] = []
    while sum(times) < seconds:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return times


@click.command()
@click.option("--seconds", default=4.0, show_default=True)
def main(seconds: float) -> None:
    """Measure the demo family and print the figures."""
    family = Family.read(REPOSITORY, "demo", CHECKPOINT)
    machine = RealMachine(REPOSITORY, "demo", family.native_size, family.tokens)
    for each in decode_contention(family, REPOSITORY, machine, (1, 4, 8), seconds):
        click.echo(
            f"{each.side}x{each.side}, {each.threads} thread(s), batches of {each.batch}: "
            f"{each.decode:.1f} ms a picture, {each.lost:.1f} ms of denoising lost for it, p99 step {each.stall:.1f} x"
        )


if __name__ == "__main__":
    main()
