"""Holds the database, the blob store and the journal against each other, and repairs what does not fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, exists, func, select

from bridge.library.blobs import BlobStore, digest
from bridge.library.database import Database, insert
from bridge.library.deletion import Deletion
from bridge.library.journal import Journal
from bridge.library.schema import blobs, images, prompts


@dataclass(frozen=True, slots=True)
class Condition:
    """How a library is. `images` and `waiting` (in the journal, not recorded yet) are counts, the rest does not fit.

    `missing` and `damaged` blobs belong to pictures, `orphans` lie in the store without one; `miscounted` blobs have
    more or fewer pictures than the database says, `unreferenced` ones none. `set_aside` entries could not be recorded.
    """

    images: int
    waiting: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]
    orphans: tuple[str, ...]
    miscounted: tuple[str, ...]
    unreferenced: tuple[str, ...]
    unused_prompts: int
    abandoned: tuple[Path, ...]
    set_aside: tuple[Path, ...]

    @property
    def is_sound(self) -> bool:
        """Tells whether everything fits."""
        unfitting = (self.missing, self.damaged, self.orphans, self.miscounted, self.unreferenced, self.abandoned)
        return not any(unfitting) and not self.unused_prompts and not self.set_aside


class Verification:
    """Looks through one library, also while a bridge writes into it."""

    def __init__(self, database: Database, store: BlobStore, journal: Journal) -> None:
        self._database = database
        self._store = store
        self._journal = journal

    def condition(self) -> Condition:
        """Reads every blob of the library and compares."""
        # In this order: what is deleted in between has no row any more, what is added has one.
        stored = set(self._store.names())
        counted = select(images.c.blob, func.count().label("images")).group_by(images.c.blob).subquery()
        rows = select(blobs.c.hash, blobs.c.refs, func.coalesce(counted.c.images, 0)).outerjoin(
            counted, counted.c.blob == blobs.c.hash
        )
        with self._database.reading() as connection:
            known = {name: (refs, count) for name, refs, count in connection.execute(rows)}
            total = connection.execute(select(func.count()).select_from(images)).scalar_one()
            unused = select(func.count()).where(~exists().where(images.c.prompt_number == prompts.c.number))
            unused_prompts = connection.execute(unused.select_from(prompts)).scalar_one()
        missing, damaged = [], []
        for name in sorted(name for name, (_, count) in known.items() if count):
            try:
                if digest(self._store.get(name)) != name:
                    damaged.append(name)
            except FileNotFoundError:
                if self._is_known(name):
                    missing.append(name)
        return Condition(
            images=total,
            waiting=len(self._journal.entries()),
            missing=tuple(missing),
            damaged=tuple(damaged),
            orphans=tuple(sorted(name for name in stored - known.keys() if self._is_orphan(name))),
            miscounted=tuple(sorted(name for name, (refs, count) in known.items() if refs != count)),
            unreferenced=tuple(sorted(name for name, (refs, count) in known.items() if refs == count == 0)),
            unused_prompts=unused_prompts,
            abandoned=(*self._journal.abandoned(), *self._store.abandoned()),
            set_aside=tuple(self._journal.set_aside_entries()),
        )

    def repair(self, condition: Condition) -> int:
        """Makes everything fit, except for what was set aside; returns how many pictures had to go.

        Pictures whose bytes are missing or damaged cannot be answered and are deleted.
        """
        for name in condition.orphans:
            # With a row of no references it is deleted as any other blob that lost its last picture.
            with self._registered(name):
                pass
        for name in condition.miscounted:
            self._count_again(name)
        with self._database.reading() as connection:
            lost = select(images.c.number).where(images.c.blob.in_((*condition.missing, *condition.damaged)))
            numbers = list(connection.execute(lost).scalars())
        deletion = Deletion(self._database, self._store)
        count = deletion.by_number(numbers)
        deletion.sweep_blobs()
        deletion.sweep_prompts()
        for path in condition.abandoned:
            path.unlink(missing_ok=True)
        return count

    def _is_known(self, name: str) -> bool:
        with self._database.reading() as connection:
            return connection.execute(select(images.c.number).where(images.c.blob == name)).first() is not None

    def _is_orphan(self, name: str) -> bool:
        # A picture that is just being recorded puts its blob before its row is seen: this waits for it.
        with self._registered(name) as (connection, is_new):
            connection.rollback()
            return is_new

    @contextmanager
    def _registered(self, name: str) -> Iterator[tuple[Connection, bool]]:
        """A transaction in which a blob has a row, and whether that is a new one, without references."""
        with self._database.writing() as connection:
            row = insert(connection, blobs).values(hash=name, size=0, refs=0).on_conflict_do_nothing()
            yield connection, connection.execute(row.returning(blobs.c.hash)).first() is not None

    def _count_again(self, name: str) -> None:
        with self._database.writing() as connection:
            # Whoever adds or deletes a picture with these bytes holds the row until it is done.
            connection.execute(select(blobs.c.hash).where(blobs.c.hash == name).with_for_update())
            count = select(func.count()).select_from(images).where(images.c.blob == name).scalar_subquery()
            connection.execute(blobs.update().where(blobs.c.hash == name).values(refs=count))
