"""`starweave versions`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

# The parts of `export` that move versions need no torch.
from export.deployment import Deployment
from export.errors import ExportError
from export.repository import Repository
from standalone.errors import VersionRefused
from standalone.stack import StackSettings
from standalone.trial import try_version

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def versions() -> None:
    """List, activate, roll back and prune the versions of a family in a model repository.

    A running server takes over what changes by itself, and finishes requests under way on the version that they began
    with.
    """


def _options(command: Command) -> Command:
    command = click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")(command)
    command = click.option(
        "--repository",
        type=click.Path(file_okay=False, exists=True, path_type=Path),
        default=StackSettings().repository,
        help="Model repository.  [default: model_repository]",
    )(command)
    return click.argument("family")(command)


@versions.command("list")
@_options
def list_versions(family: str, repository: Path, as_json: bool) -> None:
    """List the versions of FAMILY, oldest first."""
    with _explained():
        found = Deployment.open(Repository(repository), family).versions()
    if as_json:
        click.echo(json.dumps({"family": family, "versions": [asdict(version) for version in found]}))
        return
    table = Table("Version", "State", "Size")
    for version in found:
        state = "active" if version.active else "inactive"
        if version.missing:
            state = f"incomplete: {', '.join(version.missing)} missing"
        table.add_row(str(version.number), state, decimal(version.bytes))
    Console().print(table)


@versions.command()
@_options
@click.argument("version", type=click.IntRange(1), required=False)
def activate(family: str, version: int | None, repository: Path, as_json: bool) -> None:
    """Make VERSION of FAMILY, by default its newest, the one that makes the pictures.

    It makes one picture first, in a Triton of its own; where that fails, all stays as it is.
    """
    with _changing(repository, family) as (deployment, staged):
        number = deployment.complete(version)
        if number != deployment.active:
            with Console(stderr=True).status(f"Version {number} makes a picture."):
                try_version(deployment, number, staged / ".trial")
        deployment.activate(staged, number)
    _tell_active(deployment, number, as_json)


@versions.command()
@_options
def rollback(family: str, repository: Path, as_json: bool) -> None:
    """Make the version before the active one of FAMILY the active one again, at once: it has made pictures before."""
    with _changing(repository, family) as (deployment, staged):
        number = deployment.before_active()
        deployment.activate(staged, number)
    _tell_active(deployment, number, as_json)


@versions.command()
@_options
def prune(family: str, repository: Path, as_json: bool) -> None:
    """Remove every version of FAMILY but the active one."""
    with _changing(repository, family) as (deployment, staged):
        removed = deployment.prune(staged)
    if as_json:
        click.echo(json.dumps({"family": family, "active": deployment.active, "removed": removed}))
    elif removed:
        click.echo(f"Removed from {family}: {', '.join(map(str, removed))}. Version {deployment.active} is active.")
    else:
        click.echo(f"Version {deployment.active} of {family} is active, and there is no other.")


@contextmanager
def _changing(repository: Path, family: str) -> Iterator[tuple[Deployment, Path]]:
    """The family, repaired where a command was killed before, and a folder for its change."""
    with _explained(), Repository(repository).staging() as staged:
        deployment = Deployment.open(Repository(repository), family)
        deployment.activate(staged, deployment.active)
        yield deployment, staged


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ExportError as error:
        raise VersionRefused(str(error)) from error


def _tell_active(before: Deployment, number: int, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"family": before.family, "active": number, "before": before.active}))
    elif number == before.active:
        click.echo(f"Version {number} of {before.family} is active already.")
    else:
        click.echo(f"Version {number} of {before.family} is active; before it, version {before.active} was.")
