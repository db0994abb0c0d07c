"""A machine that takes no steps, only the time for them."""

from __future__ import annotations

from benchmarks.job import Job
from benchmarks.loads import PictureSettings
from benchmarks.policies.policy import Turn
from benchmarks.step_curves import StepCurve


class VirtualClock:
    """Time that moves only when it is told to; in seconds."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """The time."""
        return self._now

    def wait_until(self, time: float) -> None:
        """Moves on to `time`."""
        self._now = max(self._now, time)


class SimulatedMachine:
    """Lets the time pass that a curve says; counts the native rows that it took."""

    def __init__(self, curve: StepCurve, clock: VirtualClock) -> None:
        self._curve = curve
        self._cost = curve.cost()
        self._clock = clock
        self.row_evaluations = 0

    def alone(self, picture: PictureSettings) -> float:
        """Seconds that a picture's steps take with nothing else to do."""
        return self._curve.alone(picture)

    def run(self, turn: Turn) -> None:
        """Moves the clock by the turn's steps."""
        self.row_evaluations += turn.rows * turn.evaluations
        seconds = self._cost.step_seconds(turn.rows, turn.members[0].key.pixels)
        self._clock.wait_until(self._clock.now() + turn.evaluations * seconds)

    def release(self, job: Job) -> None:
        """Nothing is held."""
