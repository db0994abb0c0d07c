"""`python -m benchmarks [--quick]`: the whole benchmark against a server of its own."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from benchmarks.bench_family import NAME, make_bench_family
from benchmarks.family import Family, Server
from benchmarks.plan import FULL, QUICK
from benchmarks.run import REPORT_NAME, measure, write
from export.demo_family import CHECKPOINT, REPOSITORY
from standalone.stack import Stack, StackSettings
from standalone.status import Status
from standalone.stop_signals import StopSignals

HERE = Path(__file__).resolve().parent
# The generated family is kept for the next run.
WORK = HERE.parent / "out" / "benchmarks"


@click.command()
@click.option("--quick", is_flag=True, help="Fewer trials, loads and pictures, and one family.")
@click.option("--results", type=click.Path(path_type=Path), default=HERE / "results", help="Folder for the report.")
def main(quick: bool, results: Path) -> None:
    """Measure limit, server and baselines, simulate, and write latest.json, a report and plots."""
    repository, checkpoint = WORK / "model_repository", WORK / "bench_checkpoint"
    repository.mkdir(parents=True, exist_ok=True)
    make_bench_family(repository, checkpoint, click.echo)
    for model in REPOSITORY.glob("demo*"):
        shutil.rmtree(repository / model.name, ignore_errors=True)
        shutil.copytree(model, repository / model.name)
    beside = [] if quick else [Family.read(repository, "demo", CHECKPOINT)]
    families = [*beside, Family.read(repository, NAME, checkpoint)]
    with StopSignals() as signals, tempfile.TemporaryDirectory() as folder:
        stack = Stack(StackSettings(repository=repository, folder=Path(folder), repeats=False), Status())
        try:
            stack.start_missing(signals.pause)
            server = Server(repository, stack.triton.grpc_url, stack.bridge.address)
            command = "make bench-quick" if quick else "make bench"
            made = measure(families, server, QUICK if quick else FULL, command, click.echo)
        finally:
            stack.close()
    write(made, results)
    click.echo(f"Written to {results}; read {REPORT_NAME}.")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
