"""Counts over the library."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, distinct, func, select

from bridge.library.database import Database
from bridge.library.filters import ImageFilter
from bridge.library.schema import images

MAX_RATING = 5


@dataclass(frozen=True, slots=True)
class Group:
    """The pictures that have one model or style in common; `mean_rating` is None where none is rated."""

    name: str
    images: int
    mean_rating: float | None
    mean_generation_ms: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a filter lets through, counted.

    `repeats` were answered from the library; `stored_bytes` counts each distinct picture once; `oldest` and `newest`
    are Unix times in milliseconds, None where there is no picture; `ratings` counts the stars 1 to 5, in this order.
    """

    images: int
    repeats: int
    users: int
    stored_bytes: int
    oldest: int | None
    newest: int | None
    ratings: Sequence[int]
    families: Sequence[Group]
    styles: Sequence[Group]


def statistics(database: Database, chosen: ImageFilter) -> Statistics:
    """Counts what the filter lets through, in one state of the database."""
    where = chosen.conditions()
    repeats = func.count().filter(images.c.repeat_of != "")
    users = func.count(distinct(images.c.user_id)).filter(images.c.user_id != "")
    sizes = select(images.c.blob, images.c.size).where(*where).distinct().subquery()
    stars = select(images.c.rating, func.count()).where(*where, images.c.rating.is_not(None)).group_by(images.c.rating)
    with database.reading() as connection:
        totals = connection.execute(
            select(func.count(), repeats, users, func.min(images.c.created_at), func.max(images.c.created_at))
            .select_from(images)
            .where(*where)
        ).one()
        stored = connection.execute(select(func.sum(sizes.c.size))).scalar_one()
        rated = {rating: count for rating, count in connection.execute(stars)}
        return Statistics(
            images=totals[0],
            repeats=totals[1],
            users=totals[2],
            stored_bytes=int(stored or 0),
            oldest=totals[3],
            newest=totals[4],
            ratings=[rated.get(star, 0) for star in range(1, MAX_RATING + 1)],
            families=_groups(connection, images.c.family, where),
            styles=_groups(connection, images.c.style, where),
        )


def _groups(connection: Connection, by: ColumnElement[str], where: Sequence[ColumnElement[bool]]) -> Sequence[Group]:
    # An answer from the library says nothing about how long the model takes.
    made = func.avg(images.c.generation_ms).filter(images.c.repeat_of == "")
    statement = select(by, func.count(), func.avg(images.c.rating), made).where(*where).group_by(by)
    return [
        Group(name, count, None if rating is None else float(rating), float(milliseconds or 0))
        for name, count, rating, milliseconds in connection.execute(statement.order_by(func.count().desc(), by))
    ]
