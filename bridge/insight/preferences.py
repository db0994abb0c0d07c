"""What a user prefers, learnt from the pictures that the user has asked for and rated."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from bridge.library.database import Database, insert
from bridge.library.schema import images, preference_resets

# The newest pictures that count: taste changes.
_PICTURES = 100
# What a picture says for its style: asking for it counts once, a rating more, for or against.
_UNRATED = 1.0
_STARS = {1: -2.0, 2: -1.0, 3: 1.0, 4: 2.0, 5: 3.0}
# Below this, it may be chance.
_LEAST_WEIGHT = 3.0
_LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Preference:
    """A value that is preferred; `share` is its part of all weight, from 0 to 1, of `pictures` with this value."""

    value: str
    pictures: int
    share: float


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a user prefers, None where nothing stands out.

    `since` is the Unix time in milliseconds of the last reset, 0 without one.
    """

    style: Preference | None = None
    quality: Preference | None = None
    since: int = 0


def preferences_of(database: Database, user_id: str) -> Preferences:
    """Learns a user's preferences from the newest pictures since the last reset.

    What the user has asked for by name counts, and a picture without any speaks against all; one that got its style
    as a preference, or from the conversation, proves nothing.
    """
    with database.reading() as connection:
        found = connection.execute(
            select(preference_resets.c.reset_at).where(preference_resets.c.user_id == user_id)
        ).scalar()
        since = int(found or 0)
        rows = connection.execute(
            select(images.c.style, images.c.quality, images.c.rating, images.c.request)
            .where(images.c.user_id == user_id, images.c.created_at >= since)
            .order_by(images.c.number.desc())
            .limit(_PICTURES)
        ).all()
    named = [(row.style, row.quality, row.rating, _settings(row.request)) for row in rows]
    return Preferences(
        style=_preferred((style, rating) for style, _, rating, asked in named if asked.get("style") or not style),
        quality=_preferred(
            (quality, rating) for _, quality, rating, asked in named if asked.get("quality") or not quality
        ),
        since=since,
    )


def reset_preferences(database: Database, user_id: str) -> Preferences:
    """Forgets a user's preferences; the pictures stay."""
    now = time.time_ns() // 1_000_000
    with database.writing() as connection:
        row = insert(connection, preference_resets).values(user_id=user_id, reset_at=now)
        connection.execute(row.on_conflict_do_update(index_elements=["user_id"], set_={"reset_at": now}))
    return Preferences(since=now)


def _settings(request: Mapping[str, Any]) -> Mapping[str, Any]:
    settings: Mapping[str, Any] = request.get("settings", {})
    return settings


def _preferred(votes: Iterable[tuple[str, int | None]]) -> Preference | None:
    weights: dict[str, float] = defaultdict(float)
    pictures: dict[str, int] = defaultdict(int)
    for value, rating in votes:
        weights[value] += _UNRATED if rating is None else _STARS[rating]
        pictures[value] += 1
    positive = sum(weight for weight in weights.values() if weight > 0)
    best = max(weights, key=lambda value: (weights[value], value), default="")
    if not best or weights[best] < _LEAST_WEIGHT or weights[best] / positive <= _LEAST_SHARE:
        return None
    return Preference(best, pictures[best], weights[best] / positive)
