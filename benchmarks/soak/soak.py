"""Runs the load and judges it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.server import SupervisedServer
from benchmarks.soak.callers import Answer, call_until
from benchmarks.soak.memory import MemoryWatch, Sample, growth, growth_by_process
from benchmarks.statistics import Distribution
from benchmarks.verify.findings import Check, Findings
from standalone.stack import StackSettings

_CALLERS = 6
# Pools of threads, caches and the memory for every shape that is drawn grow to their size first. Counted in calls: a
# slow or busy machine takes longer for that. One call in eight needs the VAE encoder.
_WARM_UP_CALLS = 5000
_LEAST_SUCCESS = 0.999
_MOST_GROWTH = 1.0
# How much the second half's median may differ from the first's.
_STABLE = 1.25


def soak(folder: Path, say: Callable[[str], None], seconds: float) -> Findings:
    """Lets clients call a server of its own for `seconds`, once it is warm."""
    server = SupervisedServer(folder, StackSettings().repository)
    try:
        server.wait_until_ready()
        return asyncio.run(_soak(server, say, seconds))
    finally:
        server.stop()


async def _soak(server: SupervisedServer, say: Callable[[str], None], seconds: float) -> Findings:
    say(f"{_CALLERS} clients, {_WARM_UP_CALLS} calls to warm up.")
    warm_up = await call_until(server.address, range(_CALLERS), lambda answers: len(answers) >= _WARM_UP_CALLS)
    say(f"The same for {seconds:.0f} s.")
    before = server.holdings()
    until = time.monotonic() + seconds
    # With other seeds: no picture is asked for twice.
    seeds = range(_CALLERS, 2 * _CALLERS)
    with MemoryWatch(server.process.command_pid) as memory:
        answers = await call_until(server.address, seeds, lambda _: time.monotonic() >= until)
    return findings(warm_up, answers, memory.samples, server.holdings().more_than(before))


def findings(warm_up: list[Answer], answers: list[Answer], samples: list[Sample], leaks: list[str]) -> Findings:
    """What the answers, the memory and what is left over say; the warm-up's answers have to be right as well."""
    asked = [*warm_up, *answers]
    valid = [each for each in asked if each.valid]
    success = sum(not each.failure for each in valid) / len(valid)
    middle = (answers[0].ended + answers[-1].ended) / 2
    halves = [
        Distribution.of([each.seconds for each in answers if each.valid and (each.ended > middle) is late])
        for late in (False, True)
    ]
    change = halves[1].p50 / halves[0].p50
    slope = growth(samples)
    failures = Counter(each.failure for each in asked if each.failure)
    return Findings(
        checks=(
            Check(f"At least {_LEAST_SUCCESS:.1%} of the valid requests succeed.", success >= _LEAST_SUCCESS),
            Check("Wrong requests and calls given up are answered as they should be.", _others_well(asked)),
            Check(
                f"Resident memory grows by less than {_MOST_GROWTH:g} MB a minute (upper end of the 95 % interval).",
                slope.high < _MOST_GROWTH,
            ),
            Check("The median time of the second half is that of the first.", 1 / _STABLE <= change <= _STABLE),
            Check("Nothing is left over.", not leaks),
        ),
        figures={
            "calls": len(asked),
            "calls to warm up": len(warm_up),
            "valid requests": len(valid),
            "valid requests that succeeded, share": success,
            "growth of resident memory, MB a minute": str(slope),
            **{
                f"growth of {name}, MB a minute": f"{slope.value:.2f} ({slope.low:.2f} to {slope.high:.2f})"
                for name, slope in growth_by_process(samples).items()
            },
            "resident memory at the end, MB": samples[-1].resident / 1e6,
            "first half: p50, p95, p99, seconds": _text(halves[0]),
            "second half: p50, p95, p99, seconds": _text(halves[1]),
            "left over": ", ".join(leaks) or "nothing",
            "failures": "; ".join(f"{count} times {failure}" for failure, count in failures.most_common(5)) or "none",
        },
    )


def _others_well(answers: list[Answer]) -> bool:
    return not any(each.failure for each in answers if not each.valid)


def _text(distribution: Distribution) -> str:
    return f"{distribution.p50:.3f}, {distribution.p95:.3f}, {distribution.p99:.3f}"
