"""The migrations lead to the tables that the code knows, once, and on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bridge.library.database import Database
from bridge.library.errors import LibraryRefused
from bridge.library.location import Location
from bridge.library.schema import metadata
from tests.library.conftest import OpenLibrary


def test_the_migrations_make_the_tables_that_the_code_knows(library: OpenLibrary) -> None:
    def is_ours(item: Any, name: str | None, kind: str, reflected: bool, compared: Any) -> bool:
        # What searches words is made by hand: FTS5's tables, and a column with its index.
        return not (name or "").startswith(("image_words", "images_word_vector", "word_vector", "sqlite_"))

    with library.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_ours})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(library: OpenLibrary) -> None:
    library.database.migrate()


def test_the_library_of_a_newer_server_is_left_alone(library: OpenLibrary) -> None:
    with library.database.writing() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(LibraryRefused, match="newer version"):
            library.database.migrate()
    finally:
        with library.database.writing() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :version"), {"version": version})


def test_a_reader_sees_one_state_whatever_is_written_meanwhile(library: OpenLibrary) -> None:
    count = text("SELECT count(*) FROM blobs")
    with library.database.reading() as reader:
        assert reader.execute(count).scalar() == 0
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_add_blob, library.database).result()
        assert reader.execute(count).scalar() == 0
    with library.database.reading() as reader:
        assert reader.execute(count).scalar() == 1


def test_prompts_are_not_in_the_text_of_an_error(library: OpenLibrary) -> None:
    with pytest.raises(Exception) as caught, library.database.writing() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:prompt)"), {"prompt": "a secret wish"})
    assert "a secret wish" not in str(caught.value)


def test_a_database_that_is_not_there_is_told_at_once() -> None:
    database = Database(Location(Path("/nonexistent"), "postgresql://library@127.0.0.1:9/library").database_url)
    with pytest.raises(OperationalError):
        database.migrate()


def _add_blob(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("INSERT INTO blobs (hash, size, refs) VALUES ('a', 1, 1)"))
