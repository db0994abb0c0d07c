"""`starweave library`: looks after the image library, also while a bridge uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from obstore.exceptions import BaseError
from sqlalchemy.exc import SQLAlchemyError

from bridge.errors import BridgeError
from bridge.library.backup import back_up
from bridge.library.backup import restore as restore_backup
from bridge.library.blobs import BlobStore
from bridge.library.database import Database, is_file_of
from bridge.library.deletion import Deletion
from bridge.library.journal import Journal
from bridge.library.location import Location
from bridge.library.retention import Retention
from bridge.library.retention import prune as prune_beyond
from bridge.library.verification import Condition, Verification
from standalone.errors import LibraryUnusable
from standalone.stack import DEFAULT_LIBRARY

# How many names of one kind a report lists.
_LISTED = 10


@dataclass(frozen=True, slots=True)
class OpenLibrary:
    """A library's parts, ready to be used."""

    database: Database
    store: BlobStore
    journal: Journal


def _places(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say where the library is; as the bridge's settings, whose environment variables they read."""
    for option in (
        click.option("--blobs", default="", envvar="STARWEAVE_LIBRARY_BLOBS", help="Its blobs, where elsewhere."),
        click.option(
            "--database", default="", envvar="STARWEAVE_LIBRARY_DATABASE", help="URL of its database, where elsewhere."
        ),
        click.option(
            "--library",
            "folder",
            type=click.Path(path_type=Path),
            default=DEFAULT_LIBRARY,
            envvar="STARWEAVE_LIBRARY",
            help="Folder of the library.  [default: out/library]",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def _opened(location: Location, is_new: bool = False) -> Iterator[OpenLibrary]:
    try:
        if not is_new and not is_file_of(location.database_url):
            raise LibraryUnusable(f"There is no library at {location.folder}; name its folder with --library.")
        database = Database(location.database_url)
        try:
            database.migrate()
            yield OpenLibrary(database, BlobStore(location.blob_store), Journal(location.journal))
        finally:
            database.close()
    except BridgeError as error:
        raise LibraryUnusable(str(error)) from error
    except (SQLAlchemyError, BaseError, OSError) as error:
        raise LibraryUnusable(f"The library cannot be used: {error}") from error


@click.group()
def library() -> None:
    """Back up, restore, verify and prune the image library."""


@library.command()
@click.argument("target", type=click.Path(path_type=Path))
@_places
def backup(target: Path, **places: Any) -> None:
    """Write a backup into the new folder TARGET; the bridge may go on."""
    with _opened(Location(**places)) as opened:
        manifest = back_up(opened.database, opened.store, target)
    click.echo(f"{manifest.images} pictures, {manifest.blobs} of them distinct, are in {target}.")
    if manifest.missing:
        click.echo(f"{manifest.missing} were deleted meanwhile or are damaged; `starweave library verify` tells.")


@library.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_places
def restore(source: Path, **places: Any) -> None:
    """Fill an empty library from the backup in SOURCE, whatever database it was taken of."""
    with _opened(Location(**places), is_new=True) as opened:
        manifest = restore_backup(opened.database, opened.store, source)
    click.echo(f"{manifest.images} pictures as of {manifest.taken_at} are restored.")


@library.command()
@click.option("--repair", is_flag=True, help="Make everything fit; pictures without their bytes are deleted.")
@_places
def verify(repair: bool, **places: Any) -> None:
    """Check every picture's bytes and references; the status is 1 where something is amiss."""
    with _opened(Location(**places)) as opened:
        verification = Verification(opened.database, opened.store, opened.journal)
        condition = verification.condition()
        _report(condition)
        if not condition.is_sound and repair:
            count = verification.repair(condition)
            click.echo(f"Repaired; {count} pictures were deleted.")
            condition = verification.condition()
    if not condition.is_sound:
        raise LibraryUnusable("Not everything fits." if repair else "Not everything fits; --repair sets it right.")
    click.echo("Everything fits.")


@library.command()
@click.option("--max-days", type=click.FloatRange(0), default=0, help="Delete what is older.")
@click.option("--max-images", type=click.IntRange(0), default=0, help="Keep so many pictures, the newest.")
@click.option("--max-bytes", type=click.IntRange(0), default=0, help="Keep so many bytes of pictures, the newest.")
@click.option("--max-per-user", type=click.IntRange(0), default=0, help="Keep so many pictures of each user.")
@_places
def prune(max_days: float, max_images: int, max_bytes: int, max_per_user: int, **places: Any) -> None:
    """Delete the oldest pictures beyond the limits given; a limit of 0 is none."""
    retention = Retention(max_days, max_images, max_bytes, max_per_user)
    if retention.is_open:
        raise click.UsageError("Name a limit, such as --max-days 90.")
    with _opened(Location(**places)) as opened:
        deletion = Deletion(opened.database, opened.store)
        click.echo(f"{prune_beyond(opened.database, deletion, retention)} pictures are deleted.")


def _report(condition: Condition) -> None:
    click.echo(f"{condition.images} pictures, {condition.waiting} more in the journal.")
    kinds = {
        "bytes missing": condition.missing,
        "bytes damaged": condition.damaged,
        "bytes of no picture": condition.orphans,
        "references miscounted": condition.miscounted,
        "references gone": condition.unreferenced,
        "half-written": condition.abandoned,
        "could not be recorded": condition.set_aside,
    }
    for kind, names in kinds.items():
        for name in names[:_LISTED]:
            click.echo(f"{kind}: {name}")
        if len(names) > _LISTED:
            click.echo(f"{kind}: {len(names) - _LISTED} more")
    if condition.unused_prompts:
        click.echo(f"prompts of no picture: {condition.unused_prompts}")
