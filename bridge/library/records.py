"""Adds pictures to the library, and reads and rates single ones."""

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.library.blobs import BlobStore
from bridge.library.database import Database, insert
from bridge.library.errors import ImageNotFound
from bridge.library.record import LibraryImage, Rating, Record
from bridge.library.schema import blobs, images, prompts
from bridge.library.words import words_of


class Records:
    """The pictures of one database and one blob store. What these raise passes through."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    def add(self, record: Record, data: bytes) -> bool:
        """Records a picture; False where it is there already.

        The blob is put while its row is locked: whoever deletes the same bytes comes before or after.
        """
        with self._database.writing() as connection:
            if connection.execute(select(images.c.number).where(images.c.id == record.id)).first():
                return False
            count_reference(connection, record)
            self._store.put(record.blob, data)
            add_row(connection, record)
            return True

    def get(self, image_id: str) -> LibraryImage:
        """The picture of this id. Raises ImageNotFound."""
        with self._database.reading() as connection:
            return _image(connection, image_id)

    def data(self, record: Record) -> bytes:
        """The bytes of a picture. Raises ImageNotFound where they were deleted meanwhile."""
        try:
            return self._store.get(record.blob)
        except FileNotFoundError as error:
            raise _absent(record.id) from error

    def oldest_with(self, repeat_key: str) -> LibraryImage | None:
        """The oldest picture of a repeat key, which the others repeat, or None."""
        statement = select(images).where(images.c.repeat_key == repeat_key).order_by(images.c.number).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(statement).first()
            return None if row is None else image_of(row)

    def rate(self, image_id: str, rating: Rating) -> LibraryImage:
        """Gives a picture its rating in place of an earlier one. Raises ImageNotFound."""
        with self._database.writing() as connection:
            connection.execute(images.update().where(images.c.id == image_id).values(_rating_values(rating)))
            return _image(connection, image_id)


def count_reference(connection: Connection, record: Record) -> None:
    """Counts one more picture with the record's bytes; their row stays locked until the transaction ends."""
    row = insert(connection, blobs).values(hash=record.blob, size=record.size, refs=1)
    connection.execute(row.on_conflict_do_update(index_elements=["hash"], set_={"refs": blobs.c.refs + 1}))


def add_row(connection: Connection, record: Record, rating: Rating | None = None) -> None:
    """Adds a picture whose blob is counted already."""
    values = {name: _storable(value) for name, value in record.as_mapping().items()}
    if rating is not None:
        values |= _rating_values(rating)
    prompt = str(values["prompt"])
    row = insert(connection, prompts).values(
        space=record.space, hash=hashlib.sha256(prompt.encode()).hexdigest(), text=prompt
    )
    known = row.on_conflict_do_update(index_elements=["space", "hash"], set_={"hash": row.excluded.hash})
    prompt_number = connection.execute(known.returning(prompts.c.number)).scalar_one()
    words = dict.fromkeys(words_of(f"{record.prompt} {record.prompt_given}"))
    connection.execute(images.insert().values(values | {"words": " ".join(words), "prompt_number": prompt_number}))


def image_of(row: Row[Any]) -> LibraryImage:
    """Makes a picture of a row of `images`."""
    values = row._mapping
    rating = None
    if values["rating"] is not None:
        rating = Rating(values["rating"], values["comment"] or "", values["rated_at"])
    return LibraryImage(values["number"], Record.from_mapping(row._asdict()), rating)


def _image(connection: Connection, image_id: str) -> LibraryImage:
    row = connection.execute(select(images).where(images.c.id == image_id)).first()
    if row is None:
        raise _absent(image_id)
    return image_of(row)


def _absent(image_id: str) -> ImageNotFound:
    return ImageNotFound(f"The library holds no picture {image_id!r}; it may have been deleted.")


def _rating_values(rating: Rating) -> dict[str, Any]:
    return {"rating": rating.stars, "comment": _storable(rating.comment), "rated_at": rating.rated_at}


def _storable(value: Any) -> Any:
    # PostgreSQL's text holds no NUL.
    return value.replace("\0", "") if isinstance(value, str) else value
