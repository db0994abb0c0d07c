"""How much was made: the library's pictures counted by model, user, style or hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, func, select

from bridge.library.database import Database
from bridge.library.filters import ImageFilter
from bridge.library.schema import images

_HOUR = 3_600_000


class Dimension(StrEnum):
    """What pictures are counted by."""

    MODEL = "model"
    USER = "user"
    STYLE = "style"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class Use:
    """The pictures that have one value of a dimension in common.

    `repeats` of them were answered from the library. `mean_rating` is None where none is rated; `mean_generation_ms`
    is that of the pictures that were made. An hour is named by its beginning, such as "2026-01-31T13:00Z".
    """

    name: str
    images: int
    repeats: int
    users: int
    rated: int
    mean_rating: float | None
    mean_generation_ms: float


def usage(database: Database, chosen: ImageFilter, by: Dimension, most: int) -> Sequence[Use]:
    """Counts what the filter lets through: the `most` used first, hours the latest first."""
    column = _COLUMNS[by]
    count = func.count()
    was_made = images.c.repeat_of == ""
    statement = (
        select(
            column,
            count,
            count.filter(images.c.repeat_of != ""),
            func.count(images.c.user_id.distinct()).filter(images.c.user_id != ""),
            func.count(images.c.rating),
            func.avg(images.c.rating),
            func.avg(images.c.generation_ms).filter(was_made),
        )
        .where(*chosen.conditions())
        .group_by(column)
        .order_by(column.desc() if by is Dimension.HOUR else count.desc(), column)
        .limit(most)
    )
    with database.reading() as connection:
        rows = connection.execute(statement).all()
    return [
        Use(
            name=_name(value, by),
            images=made,
            repeats=repeats,
            users=users,
            rated=rated,
            mean_rating=None if rating is None else float(rating),
            mean_generation_ms=float(milliseconds or 0),
        )
        for value, made, repeats, users, rated, rating, milliseconds in rows
    ]


_COLUMNS: dict[Dimension, ColumnElement[Any]] = {
    Dimension.MODEL: images.c.family,
    Dimension.USER: images.c.user_id,
    Dimension.STYLE: images.c.style,
    Dimension.HOUR: images.c.created_at - images.c.created_at % _HOUR,
}


def _name(value: Any, by: Dimension) -> str:
    if by is Dimension.HOUR:
        return datetime.fromtimestamp(int(value) / 1000, UTC).strftime("%Y-%m-%dT%H:00Z")
    return str(value)
