"""Takes pictures out of the library, and bytes that no picture has any more out of the blob store."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, exists, select, true
from sqlalchemy.exc import IntegrityError

from bridge.library.blobs import BlobStore
from bridge.library.database import Database
from bridge.library.schema import blobs, images, preference_resets, prompts

# Pictures of one transaction: a bridge that records meanwhile waits for no more than that.
_BATCH = 500


class Deletion:
    """Deletes from one database and one blob store. What these raise passes through; what is left is found again."""

    def __init__(self, database: Database, store: BlobStore) -> None:
        self._database = database
        self._store = store

    def by_id(self, image_id: str) -> int:
        """Deletes one picture; returns how many there were."""
        with self._database.reading() as connection:
            numbers = connection.execute(select(images.c.number).where(images.c.id == image_id)).scalars().all()
        return self.by_number(numbers)

    def of_user(self, user_id: str) -> int:
        """Deletes all pictures of a user, and what else there is; returns how many pictures there were."""
        with self._database.writing() as connection:
            connection.execute(preference_resets.delete().where(preference_resets.c.user_id == user_id))
        with self._database.reading() as connection:
            numbers = connection.execute(select(images.c.number).where(images.c.user_id == user_id)).scalars().all()
        return self.by_number(numbers)

    def by_number(self, numbers: Sequence[int]) -> int:
        """Deletes pictures with what only they needed; returns how many were still there."""
        count = 0
        for start in range(0, len(numbers), _BATCH):
            with self._database.writing() as connection:
                prompt_numbers = _delete_rows(connection, numbers[start : start + _BATCH])
            count += len(prompt_numbers)
            self._delete_prompts(prompts.c.number.in_(set(prompt_numbers)))
            self.sweep_blobs()
        return count

    def sweep_blobs(self) -> int:
        """Deletes the blobs that no picture has; returns their number."""
        with self._database.reading() as connection:
            names = connection.execute(select(blobs.c.hash).where(blobs.c.refs == 0)).scalars().all()
        for name in names:
            self._delete_blob(name)
        return len(names)

    def sweep_prompts(self) -> None:
        """Deletes the prompts that no picture has."""
        self._delete_prompts(true())

    def _delete_prompts(self, chosen: ColumnElement[bool]) -> None:
        unused = ~exists().where(images.c.prompt_number == prompts.c.number)
        try:
            with self._database.writing() as connection:
                connection.execute(prompts.delete().where(chosen, unused))
        except IntegrityError:
            # A picture with one of them was recorded in between.
            pass

    def _delete_blob(self, name: str) -> None:
        with self._database.writing() as connection:
            row = blobs.c.hash == name, blobs.c.refs == 0
            # While the row is locked nobody puts the same bytes; once it is gone, they are put anew.
            if connection.execute(select(blobs.c.hash).where(*row).with_for_update()).first():
                self._store.delete(name)
                connection.execute(blobs.delete().where(*row))


def _delete_rows(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Deletes pictures and returns the numbers of their prompts."""
    chosen = images.delete().where(images.c.number.in_(numbers))
    deleted = connection.execute(chosen.returning(images.c.blob, images.c.prompt_number)).all()
    # In one order everywhere, so that two deletions never wait for each other.
    for name, count in sorted(Counter(blob for blob, _ in deleted).items()):
        connection.execute(blobs.update().where(blobs.c.hash == name).values(refs=blobs.c.refs - count))
    return [prompt_number for _, prompt_number in deleted]
