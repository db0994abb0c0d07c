"""`python -m benchmarks.verify [PART]...`: runs the parts named, or all, and writes the report."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from benchmarks.verify.part import Part
from benchmarks.verify.report import REPORT_NAME, update

RESULTS = Path(__file__).resolve().parent.parent / "results"
PARTS = {part.name: part for part in Part.all()}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(PARTS)), metavar="[PART]...")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, help="Folder for the report.")
def main(names: tuple[str, ...], results: Path) -> None:
    """Run the parts named, or all of them; the status is 1 where one of them does not hold."""
    held = True
    for name in names or PARTS:
        click.echo(f"== {name}")
        entry = PARTS[name].run(click.echo)
        for check in entry["checks"]:
            click.echo(f"{'held' if check['held'] else 'FAILED'}: {check['sentence']}")
        click.echo(entry["error"], nl=False)
        # After each part: what is done stays told when a later one is interrupted.
        update(results, {name: entry})
        held = held and entry["held"]
    click.echo(f"Written to {results}; read {REPORT_NAME}.")
    sys.exit(not held)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.verify")
