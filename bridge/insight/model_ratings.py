"""How users have rated the models, read for `model: "auto"`."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from bridge.library.database import Database
from bridge.library.library import Library
from bridge.library.schema import images

logger = logging.getLogger(__name__)

_SECONDS = 0.5
_FRESH_SECONDS = 60.0
# A model that nobody has rated is taken to be like one with this many ratings of the middle.
_PRIOR_RATINGS = 5
_PRIOR_STARS = 3.0


@dataclass(frozen=True, slots=True)
class Ratings:
    """The ratings of one family: how many, and their sum in stars."""

    count: int = 0
    stars: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelRatings:
    """Ratings by family and style, "" for pictures without one."""

    by_style: Mapping[tuple[str, str], Ratings] = field(default_factory=dict)

    def expected(self, family: str, style: str) -> float:
        """The stars to expect of a family for a style, 1 to 5.

        A mean that is drawn, the more the fewer ratings there are, towards the family's over all styles, and that one
        towards the middle.
        """
        own = self.by_style.get((family, style), Ratings())
        every = [ratings for (name, _), ratings in self.by_style.items() if name == family]
        overall = (sum(ratings.stars for ratings in every) + _PRIOR_RATINGS * _PRIOR_STARS) / (
            sum(ratings.count for ratings in every) + _PRIOR_RATINGS
        )
        return (own.stars + _PRIOR_RATINGS * overall) / (own.count + _PRIOR_RATINGS)

    def count(self, family: str) -> int:
        """How many pictures of a family are rated."""
        return sum(ratings.count for (name, _), ratings in self.by_style.items() if name == family)


def read_model_ratings(database: Database) -> ModelRatings:
    """Sums up the library's ratings."""
    statement = (
        select(images.c.family, images.c.style, func.count(), func.sum(images.c.rating))
        .where(images.c.rating.is_not(None))
        .group_by(images.c.family, images.c.style)
    )
    with database.reading() as connection:
        rows = connection.execute(statement).all()
    return ModelRatings({(family, style): Ratings(count, float(stars)) for family, style, count, stars in rows})


class ModelRatingsReader:
    """The ratings as last read; a library that does not tell in time holds nothing up. Without one there are none."""

    def __init__(self, library: Library | None) -> None:
        self._library = library
        self._known = ModelRatings()
        self._stale_at = 0.0

    async def newest(self) -> ModelRatings:
        """The ratings, at most a minute old where the library answers."""
        library, now = self._library, time.monotonic()
        if library is None or not library.is_open or now < self._stale_at:
            return self._known
        self._stale_at = now + _FRESH_SECONDS
        try:
            async with asyncio.timeout(_SECONDS):
                self._known = await library.threads.run(read_model_ratings, library.database)
        except Exception as error:
            logger.warning("The library does not tell how models are rated: %s", error)
        return self._known
