"""Adds pictures to the library, and reads and rates single ones."""

import hashlib
from collections import Counter
from collections.abc import Sequence, Set
from typing import Any

from sqlalchemy import Connection, Row, select

from bridge.library.blobs import BlobStore
from bridge.library.database import Database, insert
from bridge.library.errors import ImageNotFound
from bridge.library.record import Entry, LibraryImage, Rating, Record
from bridge.library.schema import blobs, images, prompts
from bridge.library.words import words_of


class Records:
    """The pictures of one database and one blob store. What these raise passes through."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    def add(self, entries: Sequence[Entry]) -> None:
        """Records those of the pictures that are not there already, all or none of them.

        The blobs are put while their rows are locked: whoever deletes the same bytes comes before or after.
        """
        ids = [entry.record.id for entry in entries]
        with self._database.writing() as connection:
            known = set(connection.execute(select(images.c.id).where(images.c.id.in_(ids))).scalars())
            fresh = [entry for entry in entries if entry.record.id not in known]
            if not fresh:
                return
            count_references(connection, [entry.record for entry in fresh])
            for entry in fresh:
                self._store.put(entry.record.blob, entry.data)
            add_rows(connection, [(entry.record, None) for entry in fresh])

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


def count_references(connection: Connection, records: Sequence[Record]) -> None:
    """Counts one more picture with the bytes of each; their rows stay locked until the transaction ends."""
    sizes = {record.blob: record.size for record in records}
    # In one order everywhere, so that two transactions never wait for each other.
    counts = sorted(Counter(record.blob for record in records).items())
    row = insert(connection, blobs)
    add = row.on_conflict_do_update(index_elements=["hash"], set_={"refs": blobs.c.refs + row.excluded.refs})
    connection.execute(add, [{"hash": blob, "size": sizes[blob], "refs": count} for blob, count in counts])


def add_rows(connection: Connection, rated: Sequence[tuple[Record, Rating | None]]) -> None:
    """Adds pictures, with their ratings, whose blobs are counted already."""
    rows = [{name: _storable(value) for name, value in record.as_mapping().items()} for record, _ in rated]
    numbers = _prompt_numbers(connection, {(row["space"], row["prompt"]) for row in rows})
    for row, (record, rating) in zip(rows, rated, strict=True):
        row |= dict(rating=None, comment=None, rated_at=None) if rating is None else _rating_values(rating)
        row["words"] = " ".join(dict.fromkeys(words_of(f"{record.prompt} {record.prompt_given}")))
        row["prompt_number"] = numbers[row["space"], row["prompt"]]
    connection.execute(images.insert(), rows)


def _prompt_numbers(connection: Connection, wanted: Set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The numbers of prompts, by space and text; those that are not there are added."""
    rows = sorted((space, hashlib.sha256(text.encode()).hexdigest(), text) for space, text in wanted)
    row = insert(connection, prompts)
    # One that is there is changed to what it is: its row stays locked, so that nobody deletes it meanwhile.
    add = row.on_conflict_do_update(index_elements=["space", "hash"], set_={"hash": row.excluded.hash})
    connection.execute(add, [{"space": space, "hash": key, "text": text} for space, key, text in rows])
    chosen = prompts.c.hash.in_([key for _, key, _ in rows])
    found = connection.execute(select(prompts.c.space, prompts.c.hash, prompts.c.number).where(chosen))
    numbers = {(space, key): number for space, key, number in found}
    return {(space, text): numbers[space, key] for space, key, text in rows}


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
