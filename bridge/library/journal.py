"""The write-ahead journal: pictures that are answered and not yet in the database, one file each.

An entry is on the disk before its picture is answered, and goes when the database has it: whatever ends the bridge,
the next one finds what is missing.
"""

import json
import os
import shutil
import time
from pathlib import Path

from bridge.library.blobs import digest
from bridge.library.record import Entry, Record

_SUFFIX = ".entry"
_DAMAGED = ".damaged"
_PART = ".part"
# Of the disk, at least so much is left to others while the database is away.
_FREE_BYTES = 256 * 2**20
# A part is written within a second; what is older was left by a bridge that was killed.
_ABANDONED_SECONDS = 600


class DamagedEntry(Exception):
    """A file of the journal is not what was written."""


class Journal:
    """The entries in one folder; several bridges may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, image_id: str) -> Path:
        """The file of a picture's entry, whether there is one or not."""
        return self._folder / f"{image_id}{_SUFFIX}"

    def write(self, entry: Entry) -> Path:
        """Writes an entry to the disk and returns its file. Raises OSError, also where the disk is almost full."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free < _FREE_BYTES + len(entry.data):
            raise OSError(f"less than {_FREE_BYTES // 2**20} MiB are free on the disk of {self._folder}")
        path = self.path(entry.record.id)
        part = path.with_suffix(_PART)
        with part.open("wb") as file:
            file.write(json.dumps(entry.record.as_mapping()).encode())
            file.write(b"\n")
            file.write(entry.data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
        self._sync()
        return path

    def read(self, path: Path) -> Entry:
        """Raises FileNotFoundError where another bridge was faster, DamagedEntry where it cannot be used."""
        header, _, data = path.read_bytes().partition(b"\n")
        try:
            entry = Entry(Record.from_mapping(json.loads(header)), data)
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedEntry(f"{path} holds no record: {error}") from error
        if digest(data) != entry.record.blob:
            raise DamagedEntry(f"{path} holds other bytes than it says.")
        return entry

    def remove(self, path: Path) -> None:
        """Forgets an entry that the database has."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path) -> Path:
        """Keeps an entry that cannot be recorded out of the way, for a person to look at; returns its new path."""
        aside = path.with_suffix(_DAMAGED)
        path.replace(aside)
        return aside

    def entries(self) -> list[Path]:
        """The entries that wait, the oldest first."""
        return sorted(self._folder.glob(f"*{_SUFFIX}"), key=_modified)

    def set_aside_entries(self) -> list[Path]:
        """The entries that could not be recorded."""
        return sorted(self._folder.glob(f"*{_DAMAGED}"))

    def abandoned(self) -> list[Path]:
        """What killed bridges left half-written; none of it was answered."""
        before = time.time() - _ABANDONED_SECONDS
        return [path for path in self._folder.glob(f"*{_PART}") if 0 < _modified(path) < before * 1e9]

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
