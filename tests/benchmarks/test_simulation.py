"""Policies under a virtual clock: nothing is lost, work is conserved, and each batches what it says."""

from __future__ import annotations

import pytest

from benchmarks.dispatch import dispatch
from benchmarks.job import Job
from benchmarks.loads import ClosedLoop, OpenLoop, PictureSettings, Sizes, Workload, draw, poisson_arrivals
from benchmarks.policies import PolicyName, make_policy
from benchmarks.policies.keyed_steps import KeyedStepBatching
from benchmarks.policies.policy import Turn
from benchmarks.policies.whole_request import WholeRequestBatching
from benchmarks.simulated_machine import SimulatedMachine, VirtualClock
from benchmarks.simulation import SATURATED, figures, simulate
from benchmarks.step_curves import H200, StepCurve

SIZES = Sizes(512, 1024)
# Rows cost the same however many go together: no policy can gain throughput.
FLAT = StepCurve("flat", "made up", 512, {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0})


class RecordingMachine(SimulatedMachine):
    """Keeps every turn as it was taken."""

    def __init__(self, curve: StepCurve, clock: VirtualClock) -> None:
        super().__init__(curve, clock)
        self.turns: list[Turn] = []

    def run(self, turn: Turn) -> None:
        self.turns.append(turn)
        super().run(turn)


def picture(steps: int = 10, scale: float = 7.5, sampler: str = "ddim", size: int = 512) -> PictureSettings:
    return PictureSettings("a circle", steps, scale, sampler, size, seed=0)


def job(settings: PictureSettings, arrival: float = 0.0) -> Job:
    return Job.of(settings, arrival, alone=1.0, arrival_step=0)


@pytest.mark.parametrize("name", PolicyName)
@pytest.mark.parametrize("workload", Workload)
def test_every_picture_is_made_with_all_its_steps(name: PolicyName, workload: Workload) -> None:
    pictures = draw(workload, 120, SIZES, 3)
    clock = VirtualClock()
    machine = RecordingMachine(H200, clock)
    load = OpenLoop(pictures, poisson_arrivals(0.3, len(pictures), 3))
    served = dispatch(make_policy(name, H200.cost()), load, machine, clock)
    assert len(served) == 120
    assert machine.row_evaluations == sum(each.steps * each.rows for each in pictures)
    assert all(each.slowdown >= 1 - 1e-9 for each in served)
    assert len({id(member) for turn in machine.turns for member in turn.members}) == 120


@pytest.mark.parametrize("name", PolicyName)
def test_no_turn_mixes_sizes_or_goes_over_the_budget(name: PolicyName) -> None:
    pictures = draw(Workload.MIXED, 120, SIZES, 4)
    clock = VirtualClock()
    machine = RecordingMachine(H200, clock)
    dispatch(make_policy(name, H200.cost()), ClosedLoop(pictures, 32), machine, clock)
    for turn in machine.turns:
        (key,) = {member.key for member in turn.members}
        assert turn.rows <= H200.cost().budget_at(key.pixels)


def test_no_policy_gains_throughput_where_batching_gains_nothing() -> None:
    pictures = draw(Workload.UNIFORM, 64, SIZES, 5)
    work = sum(each.steps * each.rows for each in pictures)
    for name in PolicyName:
        clock = VirtualClock()
        dispatch(make_policy(name, FLAT.cost()), ClosedLoop(pictures, 16), SimulatedMachine(FLAT, clock), clock)
        assert clock.now() == pytest.approx(work, rel=0.01)


def test_whole_request_batching_waits_for_equals_and_takes_only_them() -> None:
    policy = WholeRequestBatching(H200.cost(), delay=1.0)
    equal, other = [job(picture()) for _ in range(2)], job(picture(steps=11))
    for each in (equal[0], other, equal[1]):
        policy.add(each)
    assert policy.next_turn(0.5) is None
    assert policy.wake_at() == 1.0
    assert policy.next_turn(1.0) == Turn(tuple(equal), 10)
    assert policy.next_turn(1.0) == Turn((other,), 11)


def test_whole_request_batching_does_not_wait_with_a_full_batch() -> None:
    policy = WholeRequestBatching(H200.cost(), delay=1.0)
    for _ in range(H200.cost().budget // 2):
        policy.add(job(picture()))
    turn = policy.next_turn(0.0)
    assert turn is not None and turn.rows == H200.cost().budget


def test_keyed_step_batching_joins_other_step_counts_but_not_other_guidance() -> None:
    policy = KeyedStepBatching(H200.cost(), blocking=True)
    first, longer, other, late = job(picture()), job(picture(steps=30)), job(picture(scale=4)), job(picture())
    for each in (first, longer, other, late):
        policy.add(each)
    assert policy.next_turn(0) == Turn((first, longer), 1)
    policy.remove(first)
    # `late` would fit, but `other` is in front of it.
    assert policy.next_turn(0) == Turn((longer,), 1)
    policy.remove(longer)
    assert policy.next_turn(0) == Turn((other,), 1)


def test_a_queue_for_each_key_lets_keys_take_turns() -> None:
    policy = KeyedStepBatching(H200.cost(), blocking=False)
    first, other, late = job(picture()), job(picture(scale=4)), job(picture())
    for each in (first, other, late):
        policy.add(each)
    turns = [policy.next_turn(0) for _ in range(3)]
    assert turns == [Turn((first, late), 1), Turn((other,), 1), Turn((first, late), 1)]


def test_a_simulation_repeats_itself() -> None:
    once, again = (simulate(H200, [Workload.MIXED], pictures=60, trials=1) for _ in range(2))
    assert once == again
    ours = figures(once, Workload.MIXED, SATURATED, PolicyName.CONTINUOUS)
    theirs = figures(once, Workload.MIXED, SATURATED, PolicyName.WHOLE_REQUEST)
    assert ours[0].pictures_per_second > theirs[0].pictures_per_second


def test_a_large_row_costs_what_its_pixels_cost() -> None:
    # 1024x1024 measured: 0.243 s at one row, 0.474 s at two.
    cost, pixels = H200.cost(), 4 * H200.native_pixels
    assert cost.step_seconds(1, pixels) == pytest.approx(0.243, rel=0.02)
    assert cost.step_seconds(2, pixels) == pytest.approx(0.474, rel=0.12)
