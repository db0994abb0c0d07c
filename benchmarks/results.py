"""Everything that one run measured, and its JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.family_run import FamilyFigures
from benchmarks.loads import Workload
from benchmarks.mixed_run import MixedTrial
from benchmarks.plan import Plan
from benchmarks.ratios import family_ratios, mixed_ratios, simulated_ratios, worse
from benchmarks.simulation import SimulatedTrial
from benchmarks.statistics import Estimate
from benchmarks.step_curves import H200

_PACKAGES = ("onnxruntime", "torch", "diffusers", "numpy", "nvidia-pytriton", "grpcio")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run was made."""

    processor: str
    cores: int
    python: str
    packages: dict[str, str]
    load_before: float

    @classmethod
    def here(cls) -> Machine:
        """This machine, and how busy it was in the minute before."""
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
        packages = {name: version(name) for name in _PACKAGES}
        return cls(processor, os.cpu_count() or 1, platform.python_version(), packages, os.getloadavg()[0])


@dataclass(frozen=True, slots=True)
class Results:
    """One run. The last family's machine made `mixed`, with real steps; `simulated` made no picture."""

    command: str
    began: datetime
    seconds: float
    machine: Machine
    plan: Plan
    families: list[FamilyFigures]
    mixed: list[MixedTrial]
    simulated: list[SimulatedTrial]

    @property
    def main_family(self) -> FamilyFigures:
        """The family whose ratios count."""
        return self.families[-1]

    def ratios(self) -> dict[str, Estimate]:
        """The ratios by name: of the main family, of the mixed load, and simulated."""
        h200 = [trial for trial in self.simulated if trial.curve == H200.name]
        simulated = worse(simulated_ratios(h200, Workload.REALISTIC), simulated_ratios(h200, Workload.MIXED))
        parts = (family_ratios(self.main_family), mixed_ratios(self.mixed), simulated)
        return {name: getattr(part, name) for part in parts for name in type(part).__slots__}

    def write(self, path: Path) -> None:
        """Writes it all as JSON, the ratios first."""
        content = {"ratios": {name: asdict(estimate) for name, estimate in self.ratios().items()}} | asdict(self)
        path.write_text(json.dumps(content, indent=1, default=str) + "\n")


def now() -> datetime:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
