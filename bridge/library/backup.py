"""Backups: a folder with the records of one moment and every blob that they need, checksummed throughout.

It holds `manifest.json`, `records.jsonl.gz` (users' resets of their preferences too) and `blobs/`, and fits SQLite and
PostgreSQL alike. Embeddings are not in it: they are computed again.
"""

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from bridge.library.blobs import BlobStore, digest
from bridge.library.database import Database, insert
from bridge.library.errors import DamagedBackup, LibraryRefused
from bridge.library.record import Rating, Record
from bridge.library.records import add_rows, count_references, image_of
from bridge.library.schema import images, preference_resets

_FORMAT = 1
_MANIFEST = "manifest.json"
_RECORDS = "records.jsonl.gz"
_BLOBS = "blobs"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; `missing` pictures were deleted while it was taken, or their bytes were lost or damaged."""

    format: int
    taken_at: str
    images: int
    blobs: int
    missing: int
    records_sha256: str


def back_up(database: Database, store: BlobStore, folder: Path) -> Manifest:
    """Writes a backup into a new folder, while pictures are made, recorded and deleted.

    Raises LibraryRefused where the folder exists.
    """
    if folder.exists():
        raise LibraryRefused(f"{folder} exists already; name a new folder for the backup.")
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    snapshot = part / "snapshot.jsonl"
    with snapshot.open("w") as file:
        for line in _snapshot(database):
            file.write(line)
    copies = BlobStore(str(part / _BLOBS))
    copied: dict[str, bool] = {}
    count = total = 0
    with snapshot.open() as lines, gzip.open(part / _RECORDS, "wt") as file:
        for line in lines:
            record = json.loads(line).get("record")
            if record is not None:
                total += 1
                blob = record["blob"]
                if blob not in copied:
                    copied[blob] = _copy(store, copies, blob)
                if not copied[blob]:
                    continue
                count += 1
            file.write(line)
    snapshot.unlink()
    manifest = Manifest(
        format=_FORMAT,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        images=count,
        blobs=sum(copied.values()),
        missing=total - count,
        records_sha256=_sha256(part / _RECORDS),
    )
    (part / _MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n")
    part.rename(folder)
    return manifest


def restore(database: Database, store: BlobStore, folder: Path) -> Manifest:
    """Fills an empty library from a backup, all of it or nothing.

    Raises LibraryRefused where the library holds pictures, DamagedBackup where a checksum does not fit.
    """
    manifest = _read_manifest(folder)
    copies = BlobStore(str(folder / _BLOBS))
    restored: set[str] = set()
    with database.writing() as connection:
        if connection.execute(select(images.c.number).limit(1)).first():
            raise LibraryRefused("The library holds pictures already; restore into an empty one.")
        for document in _read_documents(folder):
            if reset := document.get("preference_reset"):
                _add_reset(connection, reset)
                continue
            record, rating = _read_record(document)
            if record.blob not in restored:
                if not _copy(copies, store, record.blob):
                    raise DamagedBackup(f"The bytes of the picture {record.id} are not in the backup, or are damaged.")
                restored.add(record.blob)
            count_references(connection, [record])
            add_rows(connection, [(record, rating)])
    return manifest


def _snapshot(database: Database) -> Iterator[str]:
    statement = select(images).order_by(images.c.number).execution_options(yield_per=_BATCH)
    with database.reading() as connection:
        for reset in connection.execute(select(preference_resets)).mappings():
            yield json.dumps({"preference_reset": dict(reset)}) + "\n"
        for row in connection.execute(statement):
            image = image_of(row)
            rating = None if image.rating is None else asdict(image.rating)
            yield json.dumps({"record": image.record.as_mapping(), "rating": rating}) + "\n"


def _add_reset(connection: Connection, reset: Mapping[str, Any]) -> None:
    row = insert(connection, preference_resets).values(reset)
    # A library without pictures may know of resets; the latest counts.
    is_later = row.excluded.reset_at > preference_resets.c.reset_at
    changed = {"reset_at": row.excluded.reset_at}
    connection.execute(row.on_conflict_do_update(index_elements=["user_id"], set_=changed, where=is_later))


def _copy(source: BlobStore, target: BlobStore, name: str) -> bool:
    """Copies a blob; False where it is absent or damaged."""
    try:
        data = source.get(name)
    except FileNotFoundError:
        return False
    if digest(data) != name:
        return False
    target.put(name, data)
    return True


def _read_manifest(folder: Path) -> Manifest:
    try:
        manifest = Manifest(**json.loads((folder / _MANIFEST).read_text()))
        checksum = _sha256(folder / _RECORDS)
    except (OSError, ValueError, TypeError) as error:
        raise DamagedBackup(f"{folder} is no backup of a library, or not all of one: {error}") from error
    if manifest.format != _FORMAT:
        raise DamagedBackup(f"{folder} has the format {manifest.format}; this server reads {_FORMAT}.")
    if checksum != manifest.records_sha256:
        raise DamagedBackup(f"{folder / _RECORDS} is not what was written: its checksum differs.")
    return manifest


def _read_documents(folder: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / _RECORDS, "rt") as lines:
        for line in lines:
            yield json.loads(line)


def _read_record(document: dict[str, Any]) -> tuple[Record, Rating | None]:
    rating = document["rating"]
    return Record.from_mapping(document["record"]), None if rating is None else Rating(**rating)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
