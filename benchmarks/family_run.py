"""All that is measured of one family against a running server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import perf_analyzer, starweave_baseline
from benchmarks.bare_session import Arrangement, BareLoop, Throughput, arrangements
from benchmarks.decode_contention import DecodeContention, decode_contention
from benchmarks.engine_record import StepFigures, last_steps
from benchmarks.family import Family, Server
from benchmarks.image_client import serve_load
from benchmarks.in_process import RealMachine
from benchmarks.loads import ClosedLoop, OpenLoop, PictureSettings, Workload, draw, poisson_arrivals
from benchmarks.plan import Plan
from benchmarks.process_usage import Usage, cpu_seconds_between, server_usage
from benchmarks.served import Served
from benchmarks.simulation import limit as rows_limit
from benchmarks.starweave_baseline import Workers, running_baseline, serve_closed
from benchmarks.statistics import Distribution
from benchmarks.step_curves import StepCurve
from benchmarks.torch_step import StepSeconds, step_seconds

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of the uniform load; closed loops by their number of clients. `bare_picture` is in seconds."""

    limit: Throughput
    bare_picture: Distribution
    ensemble: dict[int, perf_analyzer.Measurement]
    bridge: dict[int, Served]
    starweave: dict[int, Served]
    steps: StepFigures
    cpu_seconds_per_picture: dict[str, float]


@dataclass(frozen=True, slots=True)
class PoissonRun:
    """A workload through the bridge at a share of the limit."""

    workload: Workload
    load: float
    arrivals_per_second: float
    served: Served


@dataclass(frozen=True, slots=True)
class FamilyFigures:
    """The measurements of one family; throughputs are compared at `saturated` clients.

    `usage_before` is that after the first trial, in which pools and caches fill, `usage_after` that after the last.
    """

    family: str
    saturated: int
    curve: StepCurve
    step: StepSeconds
    limits: list[Throughput]
    decode: list[DecodeContention]
    starweave_choices: dict[str, float]
    starweave_best: Workers
    trials: list[Trial]
    poisson: list[PoissonRun]
    usage_before: dict[str, Usage]
    usage_after: dict[str, Usage]
    commands: list[str] = field(default_factory=list)


class FamilyRun:
    """Measures one family; `report` is told what is being done."""

    def __init__(self, family: Family, server: Server, plan: Plan, report: Report) -> None:
        self._family = family
        self._server = server
        self._plan = plan
        self._report = report
        self._perf_analyzer = perf_analyzer.install()
        self._loop = BareLoop(server.repository, family.name, family.native_size, family.default_steps, family.tokens)
        self._machine = RealMachine(server.repository, family.name, family.native_size, family.tokens)
        self._fixed_seconds = 0.0
        self._commands: list[str] = []

    @property
    def machine(self) -> RealMachine:
        """The family's UNet in this process."""
        return self._machine

    def measure(self) -> FamilyFigures:
        """Everything."""
        name, cores = self._family.name, os.cpu_count() or 1
        self._report(f"{name}: step costs")
        curve = self._machine.curve()
        self._report(f"{name}: the limit of bare sessions")
        limits = [
            self._loop.throughput(arrangement, self._plan.limit_seconds / 2)
            for arrangement in arrangements(cores, self._plan.batches)
        ]
        best = max(limits, key=lambda each: each.pictures_per_second).arrangement
        decode = self._decode() if self._plan.decode_seconds else []
        alone = min(self._loop.picture_seconds(cores, 3))
        self._fixed_seconds = max(alone - curve.alone(self._uniform(1, -1)[0]), 0)
        self._report(f"{name}: the STARWEAVE-style baseline's best")
        tried = starweave_baseline.choices(cores)[: self._plan.baseline_choices]
        choices = {workers: self._choose(workers) for workers in tried} if len(tried) > 1 else {}
        workers = max(tried, key=lambda each: choices.get(each, 0.0))
        step = step_seconds(self._family, self._server.repository, self._plan.step_runs, workers)
        self._bridge_closed(self._plan.saturated, seed=-1)
        usages: list[dict[str, Usage]] = []
        trials = []
        with running_baseline(self._family.checkpoint, workers) as baseline:
            serve_closed(baseline, self._uniform(workers.workers, -1), workers.workers)
            for number in range(self._plan.trials):
                self._report(f"{name}: trial {number + 1} of {self._plan.trials}")
                trials.append(self._trial(number, best, baseline))
                usages.append(server_usage())
        limit = sum(trial.limit.pictures_per_second for trial in trials) / len(trials)
        poisson = [
            self._poisson(workload, load, limit, curve) for workload in Workload for load in self._plan.poisson_loads
        ]
        return FamilyFigures(
            family=name,
            saturated=self._plan.saturated,
            curve=curve,
            step=step,
            limits=limits,
            decode=decode,
            starweave_choices={str(each): rate for each, rate in choices.items()},
            starweave_best=workers,
            trials=trials,
            poisson=poisson,
            usage_before=usages[0],
            usage_after=usages[-1],
            commands=self._commands,
        )

    def _decode(self) -> list[DecodeContention]:
        self._report(f"{self._family.name}: the VAE decoder beside the denoising")
        repository, seconds = self._server.repository, self._plan.decode_seconds
        return decode_contention(self._family, repository, self._machine, self._plan.batches, seconds)

    def _choose(self, workers: Workers) -> float:
        with running_baseline(self._family.checkpoint, workers) as address:
            clients = workers.workers
            serve_closed(address, self._uniform(clients, -1), clients)
            return serve_closed(address, self._uniform(4 * clients, -2), 2 * clients).pictures_per_second

    def _trial(self, number: int, best: Arrangement, baseline: str) -> Trial:
        cores = os.cpu_count() or 1
        limit = self._loop.throughput(best, self._plan.limit_seconds)
        bare = Distribution.of(self._loop.picture_seconds(cores, self._plan.fewest_pictures))
        ensemble: dict[int, perf_analyzer.Measurement] = {}
        bridge: dict[int, Served] = {}
        cpu_seconds: dict[str, float] = {}
        for clients in self._plan.clients:
            pictures = self._plan.closed_loop_pictures(clients)
            ensemble[clients], command = self._perf_analyzer.measure(
                self._server.triton_url, self._family.name, clients, pictures
            )
            self._commands.append(command)
            before = server_usage()
            bridge[clients] = self._bridge_closed(clients, number)
            if clients == self._plan.saturated:
                steps = last_steps(
                    self._server.triton_url, self._family.name, pictures * self._family.default_steps // 4
                )
                used = cpu_seconds_between(before, server_usage())
                cpu_seconds = {name: seconds / pictures for name, seconds in used.items()}
        starweave = {
            clients: serve_closed(baseline, self._uniform(self._plan.closed_loop_pictures(clients), number), clients)
            for clients in (1, self._plan.saturated)
        }
        return Trial(limit, bare, ensemble, bridge, starweave, steps, cpu_seconds)

    def _bridge_closed(self, clients: int, seed: int) -> Served:
        pictures = self._uniform(self._plan.closed_loop_pictures(clients), seed)
        load = ClosedLoop(pictures, clients)
        return Served.of(serve_load(self._server.bridge_address, self._family.name, load, self._alone))

    def _poisson(self, workload: Workload, load: float, limit: float, curve: StepCurve) -> PoissonRun:
        self._report(f"{self._family.name}: {workload} load at {load:.0%} of the limit")
        pictures = draw(workload, self._plan.poisson_pictures, self._family.sizes, 0)
        # The limit was measured with the uniform load; another one's pictures have more or fewer rows.
        uniform = self._uniform(1, 0)
        rate = load * limit * rows_limit(curve, pictures) / rows_limit(curve, uniform)
        source = OpenLoop(pictures, poisson_arrivals(rate, len(pictures), 0))
        served = serve_load(self._server.bridge_address, self._family.name, source, self._alone)
        return PoissonRun(workload, load, rate, Served.of(served))

    def _uniform(self, count: int, seed: int) -> list[PictureSettings]:
        return draw(Workload.UNIFORM, count, self._family.sizes, seed)

    def _alone(self, picture: PictureSettings) -> float:
        scale = (picture.size / self._family.native_size) ** 2
        return self._machine.alone(picture) + self._fixed_seconds * scale
