"""The bytes of pictures, each kept under the SHA-256 of its content: on disk, or in an S3-compatible store."""

import hashlib
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

# The recorder tries again by itself; a reader's client waits.
_RETRIES = 2
_RETRY_SECONDS = 10
# A blob is written within seconds.
_ABANDONED_SECONDS = 600


def digest(data: bytes) -> str:
    """The name of a blob: its SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class BlobStore:
    """Blobs in a folder, or behind a URL that `obstore` knows, such as s3://bucket/prefix.

    Credentials and endpoint of S3 come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and so on). What the
    store raises are obstore.exceptions.BaseError and OSError.
    """

    def __init__(self, place: str) -> None:
        self._folder = None if "://" in place else Path(place)
        self._store: ObjectStore
        if self._folder is not None:
            self._store = LocalStore(self._folder, mkdir=True)
        else:
            self._store = from_url(
                place, retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
            )

    def put(self, name: str, data: bytes) -> None:
        """Keeps a blob; it is on the disk, or in the store, when this returns."""
        obstore.put(self._store, _path(name), data, use_multipart=False)
        if self._folder is not None:
            # obstore puts a file into its place in one go, but leaves it to the system when it is written.
            file = self._folder / _path(name)
            for path in (file, file.parent):
                _sync(path)

    def get(self, name: str) -> bytes:
        """The content of a blob. Raises FileNotFoundError."""
        return bytes(obstore.get(self._store, _path(name)).bytes())

    def delete(self, name: str) -> None:
        """Deletes a blob if it is there."""
        try:
            obstore.delete(self._store, _path(name))
        except FileNotFoundError:
            pass

    def names(self) -> Iterator[str]:
        """The names of all blobs, in no order."""
        for page in obstore.list(self._store):
            for entry in page:
                yield entry["path"].rpartition("/")[2]

    def abandoned(self) -> list[Path]:
        """What a process that was killed has left half-written in the folder; a store on the net leaves nothing."""
        if self._folder is None:
            return []
        # obstore's names for what it is writing.
        before = time.time() - _ABANDONED_SECONDS
        return [path for path in self._folder.glob("*/*#*") if path.stat().st_mtime < before]


def _path(name: str) -> str:
    # Folders of a hundred thousand files are slow on some file systems.
    return f"{name[:2]}/{name}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
