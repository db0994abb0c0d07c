"""The real scheduler and its rivals under a virtual clock, with step costs given as data.

A simulation: no picture is made. It leaves out the text encoder, the VAE and everything that costs no UNet step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.dispatch import PolicyMaker, dispatch
from benchmarks.job import Job
from benchmarks.loads import ClosedLoop, Load, OpenLoop, PictureSettings, Sizes, Workload, draw, poisson_arrivals
from benchmarks.policies.continuous import ContinuousBatching
from benchmarks.policies.keyed_steps import KeyedStepBatching
from benchmarks.policies.policy import Turn
from benchmarks.policies.whole_request import WholeRequestBatching
from benchmarks.statistics import Distribution
from benchmarks.step_curves import StepCurve


class VirtualClock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """The time."""
        return self._now

    def wait_until(self, time: float) -> None:
        """Moves on to `time`."""
        self._now = max(self._now, time)


class SimulatedMachine:
    """Takes steps by letting the time pass that the curve says."""

    def __init__(self, curve: StepCurve, clock: VirtualClock) -> None:
        self._curve = curve
        self._clock = clock
        self.row_evaluations = 0

    def alone(self, picture: PictureSettings) -> float:
        """Seconds that a picture's steps take with nothing else to do."""
        return picture.steps * self._curve.step_seconds(picture.rows, picture.size)

    def run(self, turn: Turn) -> None:
        """Moves the clock by the turn's steps."""
        self.row_evaluations += turn.rows * turn.evaluations
        size = turn.members[0].settings.size
        self._clock.wait_until(self._clock.now() + turn.evaluations * self._curve.step_seconds(turn.rows, size))

    def release(self, job: Job) -> None:
        """Nothing is held."""
