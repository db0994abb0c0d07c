"""Finds pictures whose prompts mean something similar."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, select

from bridge.library.database import Database
from bridge.library.embedding import Vector
from bridge.library.filters import ImageFilter
from bridge.library.prompt_index import PromptIndex
from bridge.library.record import LibraryImage
from bridge.library.records import image_of
from bridge.library.schema import images, prompts

# Prompts whose pictures are looked up at a time.
_BATCH = 200


@dataclass(frozen=True, slots=True)
class Match:
    """A picture, and the cosine of its prompt's embedding with the one that was looked for."""

    image: LibraryImage
    similarity: float


class Similarity:
    """Looks into one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._indexes: dict[str, PromptIndex] = {}

    def vector_of(self, image: LibraryImage) -> Vector | None:
        """The embedding of a picture's prompt; None where it is not computed yet."""
        statement = select(prompts.c.vector).join(images).where(images.c.id == image.record.id)
        with self._database.reading() as connection:
            vector = connection.execute(statement).scalar()
        return None if vector is None else np.frombuffer(vector, "<f4")

    def matches(self, space: str, vector: Vector, chosen: ImageFilter, limit: int, without: str = "") -> list[Match]:
        """Up to `limit` pictures, most similar first and newest first of one prompt, except the one of id `without`."""
        among = None
        index = self._indexes.setdefault(space, PromptIndex(space))
        if not chosen.is_open:
            statement = select(images.c.prompt_number).where(*chosen.conditions(), images.c.space == space).distinct()
            with self._database.reading() as connection:
                among = np.array(connection.execute(statement).scalars().all(), np.int64)
        numbers, cosines = index.nearest(self._database, vector, among)
        found: list[Match] = []
        for start in range(0, len(numbers), _BATCH):
            nearest = dict(zip(numbers[start : start + _BATCH].tolist(), cosines[start : start + _BATCH], strict=True))
            with self._database.reading() as connection:
                batch = _newest_of(connection, list(nearest), chosen, limit + 1)
            matched = [Match(image, float(nearest[prompt])) for prompt, image in batch if image.record.id != without]
            found += sorted(matched, key=lambda match: (-match.similarity, -match.image.number))
            if len(found) >= limit:
                break
        return found[:limit]


def _newest_of(
    connection: Connection, numbers: Sequence[int], chosen: ImageFilter, limit: int
) -> list[tuple[int, LibraryImage]]:
    """The newest pictures of each of these prompts, up to `limit` each."""
    place = func.row_number().over(partition_by=images.c.prompt_number, order_by=images.c.number.desc())
    ranked = select(images.c.number, place.label("place")).where(
        images.c.prompt_number.in_(numbers), *chosen.conditions()
    )
    newest = ranked.subquery()
    statement = select(images).join(newest, newest.c.number == images.c.number).where(newest.c.place <= limit)
    return [(row._mapping["prompt_number"], image_of(row)) for row in connection.execute(statement)]
