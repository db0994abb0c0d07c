"""What the library tells of its use, of experiments and of preferences, over SQLite and PostgreSQL."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bridge.insight.experiment_report import experiment_report
from bridge.insight.interval import difference_interval, mean_interval
from bridge.insight.preferences import Preferences, preferences_of, reset_preferences
from bridge.insight.usage import Dimension, usage
from bridge.library.filters import ImageFilter
from bridge.library.record import Rating
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture

HOUR = 3_600_000
START = 1_700_000_000_000 - 1_700_000_000_000 % HOUR


def add(library: OpenLibrary, image_id: str, stars: int | None = None, **changes: Any) -> None:
    entry = picture(image_id, **changes)
    library.records.add([entry])
    if stars is not None:
        library.records.rate(image_id, Rating(stars, "", START))


def asked(**settings: str) -> dict[str, Any]:
    """A record whose request named these settings, and that has them."""
    return {"request": {"settings": settings}, "style": settings.get("style", ""), **settings}


def test_use_is_counted_by_each_dimension(library: OpenLibrary) -> None:
    add(library, "1", 5, user_id="ann", family="demo", style="soft", created_at=START, generation_ms=100)
    add(library, "2", 2, user_id="bob", family="demo", style="", created_at=START + HOUR - 1, generation_ms=300)
    add(library, "3", user_id="ann", family="demo", style="", created_at=START + HOUR, generation_ms=9, repeat_of="2")
    add(library, "4", user_id="", family="fox", style="soft", created_at=START + 2 * HOUR, generation_ms=700)

    def counted(by: Dimension, **chosen: Any) -> list[tuple[Any, ...]]:
        uses = usage(library.database, ImageFilter(**chosen), by, 10)
        return [
            (use.name, use.images, use.repeats, use.users, use.rated, use.mean_rating, use.mean_generation_ms)
            for use in uses
        ]

    assert counted(Dimension.MODEL) == [("demo", 3, 1, 2, 2, 3.5, 200.0), ("fox", 1, 0, 0, 0, None, 700.0)]
    assert counted(Dimension.USER) == [
        ("ann", 2, 1, 1, 1, 5.0, 100.0),
        ("", 1, 0, 0, 0, None, 700.0),
        ("bob", 1, 0, 1, 1, 2.0, 300.0),
    ]
    assert counted(Dimension.STYLE, family="demo") == [("", 2, 1, 2, 1, 2.0, 300.0), ("soft", 1, 0, 1, 1, 5.0, 100.0)]
    assert [(name, images) for name, images, *_ in counted(Dimension.HOUR)] == [
        ("2023-11-15T00:00Z", 1),
        ("2023-11-14T23:00Z", 1),
        ("2023-11-14T22:00Z", 2),
    ]
    assert len(usage(library.database, ImageFilter(), Dimension.USER, 2)) == 2


def test_an_experiment_is_compared_by_users(library: OpenLibrary) -> None:
    """Users of the second arm rate two stars higher; one who rates a lot counts as one."""
    for user in range(12):
        arm, stars = ("plain", 2) if user % 2 else ("detailed", 4)
        for number in range(10 if user == 0 else 1):
            add(
                library,
                f"{user}-{number}",
                stars + (user // 2) % 2,
                user_id=f"user{user}",
                experiment=f"first/{arm}",
                template="detail" if arm == "detailed" else "",
                generation_ms=100,
            )
    add(library, "unrated", user_id="other", experiment="first/plain", generation_ms=100)
    add(library, "elsewhere", 1, user_id="user1", experiment="first-but-one/plain")
    plain, detailed = experiment_report(library.database, "first")
    assert (plain.arm, plain.template, plain.images, plain.users, plain.rated, plain.raters) == (
        "plain",
        "",
        7,
        7,
        6,
        6,
    )
    assert (detailed.arm, detailed.template, detailed.images, detailed.raters) == ("detailed", "detail", 15, 6)
    assert plain.rating is not None and plain.rating.value == pytest.approx(2.5)
    assert detailed.rating is not None and detailed.rating.value == pytest.approx(4.5)
    assert plain.difference is None
    assert detailed.difference is not None and detailed.difference.value == pytest.approx(2)
    assert detailed.difference.excludes_zero
    assert experiment_report(library.database, "unknown") == []


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    """Of 200 samples of 40 values, at least 90 % have the true mean in theirs; none is wider than due."""
    rng = random.Random(5)
    hits = 0
    for _ in range(200):
        interval = mean_interval([rng.gauss(3, 1) for _ in range(40)])
        assert interval is not None and interval.low is not None and interval.high is not None
        hits += interval.low <= 3 <= interval.high
        assert 0.3 < interval.high - interval.low < 1
    assert 180 <= hits < 200


def test_too_few_values_have_no_interval() -> None:
    assert mean_interval([]) is None
    assert mean_interval([4.0]) == mean_interval([4.0])
    lonely = mean_interval([4.0])
    assert lonely is not None and (lonely.value, lonely.low, lonely.excludes_zero) == (4.0, None, False)
    assert difference_interval([4.0], []) is None
    same = difference_interval([1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5])
    assert same is not None and not same.excludes_zero


def test_a_style_that_is_asked_for_often_is_preferred(library: OpenLibrary) -> None:
    for number in range(3):
        add(library, f"soft{number}", **asked(style="soft"))
    add(library, "plain", **asked())
    add(library, "others", user_id="bob", **asked(style="anime"))
    found = preferences_of(library.database, "ann")
    assert found.style is not None
    assert (found.style.value, found.style.pictures, found.style.share) == ("soft", 3, 0.75)
    assert found.quality is None
    assert preferences_of(library.database, "bob") == preferences_of(library.database, "nobody") == Preferences()


def test_ratings_weigh_more_than_use(library: OpenLibrary) -> None:
    for number in range(3):
        add(library, f"soft{number}", 1, **asked(style="soft", quality="high"))
    add(library, "liked", 5, **asked(style="anime", quality="high"))
    found = preferences_of(library.database, "ann")
    assert found.style is not None and found.style.value == "anime"
    assert found.quality is None


def test_what_was_applied_as_a_preference_proves_nothing(library: OpenLibrary) -> None:
    for number in range(9):
        add(library, f"soft{number}", style="soft", request={"settings": {}})
    assert preferences_of(library.database, "ann").style is None


def test_preferences_can_be_reset_and_are_deleted_with_the_user(library: OpenLibrary) -> None:
    for number in range(5):
        add(library, f"soft{number}", **asked(style="soft"))
    assert preferences_of(library.database, "ann").style is not None
    reset = reset_preferences(library.database, "ann")
    assert reset_preferences(library.database, "ann").since >= reset.since > START
    found = preferences_of(library.database, "ann")
    assert (found.style, found.quality) == (None, None)
    assert found.since >= reset.since
    library.deletion.of_user("ann")
    assert preferences_of(library.database, "ann").since == 0
