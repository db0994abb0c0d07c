"""The library's database: SQLite or PostgreSQL, brought to the newest schema by alembic."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from bridge.library.errors import LibraryRefused

Insert = sqlite.Insert | postgresql.Insert

_MIGRATIONS = Path(__file__).with_name("migrations")
_CONNECT_SECONDS = 5
# How long a writer of SQLite waits for another one; a backup or prune writes in short transactions.
_BUSY_SECONDS = 30
# Any number that nobody else locks on: two bridges that start together must not both migrate.
_MIGRATION_LOCK = 7_815_927_316
_READS = "starweave_reads"


class Database:
    """Connections to one database; they are made when they are needed, from any thread."""

    def __init__(self, url: URL) -> None:
        self.is_sqlite = url.get_backend_name() == "sqlite"
        if self.is_sqlite:
            arguments: dict[str, Any] = {"timeout": _BUSY_SECONDS}
        else:
            # A server that does not answer is found out; libpq's own limit is hours.
            arguments = {
                "connect_timeout": _CONNECT_SECONDS,
                "tcp_user_timeout": _CONNECT_SECONDS * 2000,
                "keepalives_idle": _CONNECT_SECONDS,
            }
        self.path = Path(url.database or "") if self.is_sqlite else None
        # Prompts are never logged, not in the text of an error either.
        self._engine = create_engine(
            url, connect_args=arguments, pool_pre_ping=not self.is_sqlite, hide_parameters=True
        )
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that changes something; on SQLite the only one at its time."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database, whatever others write meanwhile."""
        with self._engine.connect() as connection:
            options: dict[str, Any] = {_READS: True}
            if not self.is_sqlite:
                options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            with connection.execution_options(**options).begin():
                yield connection

    def migrate(self) -> None:
        """Makes the tables, or brings them to the newest schema.

        Raises LibraryRefused where a newer server has been there, and sqlalchemy's errors.
        """
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise LibraryRefused(
                    f"The library's database was changed by a newer version of this server ({error}); use that one."
                ) from error

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()


def insert(connection: Connection, table: Table) -> Insert:
    """An INSERT of the connection's dialect, which knows ON CONFLICT."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def is_file_of(url: URL) -> bool:
    """Tells whether the database is a file that exists, or is none at all."""
    return url.get_backend_name() != "sqlite" or os.path.exists(url.database or "")


def _prepare_sqlite(connection: Any, record: object) -> None:
    # Transactions begin when we say so: sqlite3 on its own begins none for reading.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Readers and one writer do not wait for each other; a commit is on the disk before the journal lets go of it.
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A reader that becomes a writer would fail where another has written meanwhile: writers say so at once.
    reads = connection.get_execution_options().get(_READS, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
