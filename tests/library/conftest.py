"""Libraries to test with: SQLite and blobs on disk, PostgreSQL and blobs on S3; all of them real."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.library.postgresql_server import PostgresqlServer
from bridge.library.blobs import BlobStore
from bridge.library.database import Database
from bridge.library.deletion import Deletion
from bridge.library.journal import Journal
from bridge.library.location import Location
from bridge.library.records import Records
from bridge.library.search import Search
from bridge.library.verification import Verification
from tests.library.installed_postgresql import programs_or_skip
from tests.library.s3_server import BUCKET, S3Server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running PostgreSQL."""
    server = PostgresqlServer(programs_or_skip())
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A running S3 server, which obstore finds through the environment."""
    server = S3Server()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgresql_database(postgresql: PostgresqlServer) -> str:
    """The URL of a migrated database."""
    url = postgresql.create("library")
    database = Database(Location(Path(), url).database_url)
    database.migrate()
    database.close()
    return url


@dataclass(frozen=True, slots=True)
class OpenLibrary:
    """An empty library and what works on it."""

    location: Location
    database: Database
    store: BlobStore
    records: Records
    search: Search
    deletion: Deletion
    journal: Journal
    verification: Verification


@pytest.fixture(params=["sqlite-disk", "postgresql-s3"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    """Where a library is that is empty."""
    if request.param == "sqlite-disk":
        return Location(tmp_path / "library")
    url = request.getfixturevalue("postgresql_database")
    request.getfixturevalue("s3")
    database = Database(Location(tmp_path, url).database_url)
    with database.writing() as connection:
        connection.execute(text("TRUNCATE images, prompts, blobs, preference_resets RESTART IDENTITY"))
    database.close()
    return Location(tmp_path / "library", url, f"s3://{BUCKET}/{uuid.uuid4().hex}")


@pytest.fixture
def library(location: Location) -> Iterator[OpenLibrary]:
    """That library, opened."""
    opened = open_library(location)
    yield opened
    opened.database.close()


def open_library(location: Location) -> OpenLibrary:
    """Opens, and where needed makes, a library."""
    database, store, journal = (
        Database(location.database_url),
        BlobStore(location.blob_store),
        Journal(location.journal),
    )
    database.migrate()
    return OpenLibrary(
        location,
        database,
        store,
        Records(database, store),
        Search(database),
        Deletion(database, store),
        journal,
        Verification(database, store, journal),
    )
