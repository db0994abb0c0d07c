"""Measures the `demo` ensemble with NVIDIA's perf_analyzer: `python -m benchmarks.perf_analyzer`.

Every request asks for another picture (`benchmarks/inputs/demo.json`), with the family's default size, steps and
guidance. Starts a Triton of its own unless it is given the address of one. Prints a table and writes
`benchmarks/results/perf_analyzer.json`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from standalone.installation import find_installation
from standalone.stack import StackSettings
from standalone.triton import Triton, TritonPorts

# The newest tritonclient whose perf_analyzer runs with Debian 12's glibc; it has to live in an environment of its own.
PACKAGES = ("tritonclient==2.51.0", "nvidia-cuda-runtime-cu12>=12,<13")
HERE = Path(__file__).resolve().parent
INPUTS = HERE / "inputs" / "demo.json"
RESULTS = HERE / "results" / "perf_analyzer.json"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starweave" / "perf_analyzer-2.51.0"
START_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Measurement:
    """What perf_analyzer saw with `concurrency` requests always under way; latencies in milliseconds."""

    concurrency: int
    pictures_per_second: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class PerfAnalyzer:
    """The installed program and the folders of its libraries."""

    program: Path
    library_path: str

    def measure(self, triton_url: str, model: str, concurrency: int, requests: int) -> tuple[Measurement, str]:
        """Sends `requests` requests to the ensemble `model` at the gRPC address `triton_url`.

        Returns the measurement and the command, as one types it in the project's folder. Raises click.ClickException
        with perf_analyzer's output where it fails.
        """
        arguments = [
            *("-m", model, "-i", "grpc", "-u", triton_url, "--input-data", str(INPUTS)),
            *("--concurrency-range", str(concurrency), "--request-count", str(requests)),
            *("--profile-export-file", "profile.json"),
        ]
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                [str(self.program), *arguments],
                cwd=folder,
                env={**os.environ, "LD_LIBRARY_PATH": self.library_path},
                capture_output=True,
                text=True,
                check=False,
            )
            profile = Path(folder) / "profile.json"
            if run.returncode != 0 or not profile.is_file():
                raise click.ClickException(f"perf_analyzer failed:\n{run.stdout}{run.stderr}")
            measurement = _read(profile, concurrency)
        shown = shlex.join(["perf_analyzer", *arguments]).replace(str(INPUTS), str(INPUTS.relative_to(HERE.parent)))
        return measurement, shown


def install() -> PerfAnalyzer:
    """Installs perf_analyzer into the user's cache folder unless it is there, and returns it."""
    program = CACHE / "bin" / "perf_analyzer"
    if not program.exists():
        click.echo(f"Installing perf_analyzer into {CACHE}.")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(CACHE)], check=True)
        pip = [str(CACHE / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
    libraries = CACHE / "libraries"
    libraries.mkdir(exist_ok=True)
    base64 = libraries / "libb64.so.0d"
    wheel_libraries = find_installation().libraries
    if wheel_libraries is not None and not base64.exists():
        # Triton's wheel carries this library under a name of its own; elsewhere it is Debian's libb64-0d.
        base64.unlink(missing_ok=True)
        base64.symlink_to(next(wheel_libraries.glob("libb64-*.so.0d")))
    (cuda,) = CACHE.glob("lib/python3.*/site-packages/nvidia/cuda_runtime/lib")
    return PerfAnalyzer(program, f"{libraries}:{cuda}")


@contextmanager
def running_triton(model: str) -> Iterator[Triton]:
    """A Triton with `model` loaded, stopped at the end."""
    with tempfile.TemporaryDirectory() as folder:
        triton = Triton(StackSettings().repository, Path(folder), TritonPorts.free(), load=(model,))
        try:
            triton.start()
            triton.wait_until_ready(START_SECONDS, time.sleep)
            yield triton
        finally:
            triton.stop()


def show(measurements: list[Measurement]) -> None:
    """Prints the measurements as a table."""
    table = Table("concurrency", "pictures/s", "p50 ms", "p90 ms", "p95 ms", "p99 ms")
    for row in measurements:
        latencies = (row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms)
        table.add_row(
            str(row.concurrency), f"{row.pictures_per_second:.2f}", *(f"{latency:.0f}" for latency in latencies)
        )
    Console().print(table)


def _read(profile: Path, concurrency: int) -> Measurement:
    # From the requests' own nanoseconds: perf_analyzer's summary divides by a time rounded up to whole seconds.
    (experiment,) = json.loads(profile.read_text())["experiments"]
    spans = np.array([(each["timestamp"], each["response_timestamps"][-1]) for each in experiment["requests"]])
    seconds = (spans[:, 1].max() - spans[:, 0].min()) / 1e9
    p50, p90, p95, p99 = (float(each) for each in np.percentile((spans[:, 1] - spans[:, 0]) / 1e6, (50, 90, 95, 99)))
    return Measurement(concurrency, len(spans) / seconds, p50, p90, p95, p99)


@click.command()
@click.option("--triton-url", help="gRPC host:port of a running Triton.  [default: starts one]")
@click.option("--model", default="demo", show_default=True, help="The ensemble to measure.")
@click.option("--concurrency", "concurrencies", type=int, multiple=True, default=(1, 4, 8, 16), show_default=True)
@click.option("--requests", default=64, show_default=True, help="Requests for each concurrency.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="File for the figures.")
def main(triton_url: str | None, model: str, concurrencies: tuple[int, ...], requests: int, results: Path) -> None:
    """Measure an ensemble with perf_analyzer."""
    perf_analyzer = install()
    if triton_url is None:
        with running_triton(model) as triton:
            runs = [perf_analyzer.measure(triton.grpc_url, model, count, requests) for count in concurrencies]
    else:
        runs = [perf_analyzer.measure(triton_url, model, count, requests) for count in concurrencies]
    measurements = [measurement for measurement, _ in runs]
    show(measurements)
    results.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "model": model,
        "cores": os.cpu_count(),
        "measurements": [asdict(measurement) for measurement in measurements],
        "commands": [command for _, command in runs],
    }
    results.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(f"Written to {results}.")


if __name__ == "__main__":
    main()
