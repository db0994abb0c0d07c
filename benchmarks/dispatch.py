"""The loop that lets a policy serve a load, on a virtual clock or on a real one."""

from __future__ import annotations

from typing import Protocol

from benchmarks.job import Job
from benchmarks.loads import Load, PictureSettings
from benchmarks.policies.policy import Policy, Turn
from benchmarks.served import ServedPicture


class Clock(Protocol):
    """Seconds since the load began."""

    def now(self) -> float:
        """The time."""

    def wait_until(self, time: float) -> None:
        """Returns when it is `time`."""


class Machine(Protocol):
    """What takes the steps."""

    def alone(self, picture: PictureSettings) -> float:
        """Seconds that a picture's steps take with nothing else to do."""

    def run(self, turn: Turn) -> None:
        """Takes a turn's steps; the clock has moved on when it returns."""

    def release(self, job: Job) -> None:
        """Lets go of a finished job."""


def dispatch(policy: Policy, load: Load, machine: Machine, clock: Clock) -> list[ServedPicture]:
    """Serves the whole load and returns its pictures in the order in which they ended."""
    ended: list[ServedPicture] = []
    under_way = steps = 0
    while under_way or load.next_arrival() is not None:
        for arrival, picture in load.due(clock.now()):
            policy.add(Job.of(picture, arrival, machine.alone(picture), steps))
            under_way += 1
        turn = policy.next_turn(clock.now())
        if turn is None:
            clock.wait_until(min(time for time in (policy.wake_at(), load.next_arrival()) if time is not None))
            continue
        for member in turn.members:
            if not member.started:
                member.started, member.steps_waited = True, steps - member.arrival_step
        machine.run(turn)
        steps += turn.evaluations
        for member in turn.members:
            member.evaluations_left -= turn.evaluations
            member.rows_seen += turn.rows * turn.evaluations
            if member.evaluations_left == 0:
                policy.remove(member)
                machine.release(member)
                load.on_finished(clock.now())
                ended.append(member.served(clock.now()))
                under_way -= 1
    return ended
