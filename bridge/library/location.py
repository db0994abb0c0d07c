"""Where a library lives."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url


@dataclass(frozen=True, slots=True)
class Location:
    """A library's places: `folder` holds the journal and, unless they are named elsewhere, the database and the blobs.

    `database` is an SQLAlchemy URL of SQLite or PostgreSQL; `blobs` a folder or a URL such as s3://bucket/prefix.
    """

    folder: Path
    database: str = ""
    blobs: str = ""

    @property
    def journal(self) -> Path:
        """The folder of what is answered and not yet recorded."""
        return self.folder / "journal"

    @property
    def database_url(self) -> URL:
        """The database's URL, with the driver that is installed. Raises sqlalchemy.exc.ArgumentError."""
        if not self.database:
            return URL.create("sqlite", database=str(self.folder / "library.sqlite"))
        url = make_url(self.database)
        if url.drivername in ("postgres", "postgresql"):
            return url.set(drivername="postgresql+psycopg")
        return url

    @property
    def blob_store(self) -> str:
        """The blobs' folder or URL."""
        return self.blobs or str(self.folder / "blobs")
