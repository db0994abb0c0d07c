"""`python -m benchmarks.soak [--seconds N]`: soaks, prints what it found and writes it into the report of verify."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import click

from benchmarks.soak.soak import soak
from benchmarks.verify.__main__ import RESULTS
from benchmarks.verify.part import Part
from benchmarks.verify.parts import soak as ten_minutes
from benchmarks.verify.report import REPORT_NAME, update


@click.command()
@click.option("--seconds", type=click.FloatRange(min=40), default=ten_minutes.SECONDS, show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder for the report.")
def main(seconds: float, results: Path) -> None:
    """Soak for a while; the status is 1 where something does not hold."""
    module = ModuleType("soak", ten_minutes.__doc__)
    module.run = partial(soak, seconds=seconds)  # type: ignore[attr-defined]
    entry = Part("soak", module).run(click.echo)
    for check in entry["checks"]:
        click.echo(f"{'held' if check['held'] else 'FAILED'}: {check['sentence']}")
    for figure, value in entry["figures"].items():
        click.echo(f"{figure}: {value}")
    click.echo(entry["error"], nl=False)
    update(results, {"soak": entry})
    click.echo(f"Written to {results}; read {REPORT_NAME}.")
    sys.exit(not entry["held"])


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.soak")
