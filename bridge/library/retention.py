"""How long pictures are kept: by age, number, bytes, and number of each user."""

import time
from dataclasses import dataclass

from sqlalchemy import Select, case, func, or_, select

from bridge.library.database import Database
from bridge.library.deletion import Deletion
from bridge.library.schema import images

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits above which the oldest pictures go; 0 is no limit.

    `max_bytes` counts each distinct picture once. `max_per_user` holds for pictures that name their user.
    """

    max_days: float = 0
    max_images: int = 0
    max_bytes: int = 0
    max_per_user: int = 0

    @property
    def is_open(self) -> bool:
        """Tells whether everything is kept."""
        return not (self.max_days or self.max_images or self.max_bytes or self.max_per_user)

    def beyond(self, now_ms: int) -> Select[int]:
        """Selects the numbers of the pictures that are to go, oldest first."""
        newest_first = images.c.number.desc()
        ranked = select(
            images.c.number,
            images.c.created_at,
            images.c.user_id,
            func.row_number().over(order_by=newest_first).label("place"),
            func.row_number().over(partition_by=images.c.user_id, order_by=newest_first).label("users_place"),
            case(
                (func.row_number().over(partition_by=images.c.blob, order_by=newest_first) == 1, images.c.size),
                else_=0,
            ).label("bytes"),
        ).subquery()
        summed = select(
            ranked, func.sum(ranked.c.bytes).over(order_by=ranked.c.number.desc()).label("total")
        ).subquery()
        limits = []
        if self.max_days:
            limits.append(summed.c.created_at < now_ms - int(self.max_days * _DAY_MS))
        if self.max_images:
            limits.append(summed.c.place > self.max_images)
        if self.max_bytes:
            limits.append(summed.c.total > self.max_bytes)
        if self.max_per_user:
            limits.append((summed.c.users_place > self.max_per_user) & (summed.c.user_id != ""))
        return select(summed.c.number).where(or_(*limits)).order_by(summed.c.number)


def prune(database: Database, deletion: Deletion, retention: Retention) -> int:
    """Deletes what is beyond the limits; returns how many pictures went."""
    if retention.is_open:
        return 0
    with database.reading() as connection:
        numbers = list(connection.execute(retention.beyond(time.time_ns() // 1_000_000)).scalars())
    return deletion.by_number(numbers)
