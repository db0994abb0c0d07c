"""`starweave doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from standalone.client import DEFAULT_ADDRESS, SERVICE, Health, connect, health
from standalone.doctor import repository as models
from standalone.doctor import resources, server, software, trial
from standalone.doctor.finding import Finding, Verdict
from standalone.stack import StackSettings
from standalone.stop_signals import StopSignals

DEFAULTS = StackSettings()
_COLORS = {Verdict.WELL: "green", Verdict.NOTE: "yellow", Verdict.WRONG: "red"}


@click.command()
@click.option("--address", help="host:port of a running server: only that is examined.")
@click.option(
    "--repository",
    type=click.Path(path_type=Path),
    default=DEFAULTS.repository,
    help="Model repository.  [default: model_repository]",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=DEFAULTS.folder,
    help="Folder that `starweave serve` works in.  [default: out/standalone]",
)
def doctor(address: str | None, repository: Path, folder: Path) -> None:
    """Say what is wrong with this installation, or with a running server.

    The status is 1 where something is wrong.
    """
    wrong = False
    with StopSignals() as signals:
        for finding in server.examine(address) if address else _installation(repository, folder, signals):
            click.echo(f"{click.style(f'{finding.verdict.value:5}', _COLORS[finding.verdict])} ", nl=False)
            click.echo(f"{finding.subject}: {finding.sentence}")
            wrong = wrong or finding.verdict is Verdict.WRONG
    sys.exit(wrong)


def _installation(repository: Path, folder: Path, signals: StopSignals) -> Iterator[Finding]:
    findings = []
    for examination in (software.examine(), models.examine(repository), resources.examine(repository, folder)):
        for finding in examination:
            findings.append(finding)
            yield finding
    with connect(DEFAULT_ADDRESS) as channel:
        runs = health(channel, SERVICE) is not Health.UNREACHABLE
    if runs:
        yield from server.examine(DEFAULT_ADDRESS)
    elif all(finding.verdict is not Verdict.WRONG for finding in findings):
        yield from trial.examine(repository, signals.pause)
