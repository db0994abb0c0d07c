"""Pictures are found by filters and words, page by page, in the same way on both databases."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.library.filters import ImageFilter
from bridge.library.record import Rating
from bridge.library.statistics import statistics
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture

PROMPTS = {
    "cats": "two cats on a roof",
    "art": "a pixel-art cat",
    "umlaut": "ein grüner Hügel, Straße",
    "japanese": "赤い 狐",
    "figures": "512x512 at 7.5, no. 42",
    "quotes": "it's \"quoted\" OR NOT (near) * ' & | : !",
    "empty": "!!! ???",
}


@pytest.fixture
def filled(library: OpenLibrary) -> OpenLibrary:
    for name, prompt in PROMPTS.items():
        entry = picture(name, prompt=prompt, prompt_given="")
        library.records.add([entry])
    return library


def found(library: OpenLibrary, query: str = "", **chosen: Any) -> list[str]:
    page = library.search.page(ImageFilter(**chosen), 50, query=query)
    assert page.next_before is None
    return [image.record.id for image in page.images]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cat", ["art", "cats"]),
        ("CAT", ["art", "cats"]),
        ("cats", ["cats"]),
        ("pixel art", ["art"]),
        ("art-pixel", ["art"]),
        ("cat roof", ["cats"]),
        ("cat dog", []),
        ("at", ["figures"]),
        ("GRÜNER strasse", ["umlaut"]),
        ("gruner", []),
        ("狐", ["japanese"]),
        ("512x", ["figures"]),
        ("7.5 42", ["figures"]),
        ("quoted or not near", ["quotes"]),
        ("' OR 1=1 --", []),
        ('"unclosed', []),
        ("", ["empty", "quotes", "figures", "japanese", "umlaut", "art", "cats"]),
        ("*", ["empty", "quotes", "figures", "japanese", "umlaut", "art", "cats"]),
    ],
)
def test_every_word_must_begin_a_word_of_the_prompt(filled: OpenLibrary, query: str, expected: list[str]) -> None:
    assert found(filled, query) == expected


def test_the_prompt_as_given_is_searched_too(library: OpenLibrary) -> None:
    entry = picture("one", prompt_given="my dog", prompt="a photo of a hound")
    library.records.add([entry])
    assert found(library, "dog hound") == ["one"]


def test_a_deleted_picture_is_not_found_by_its_words(filled: OpenLibrary) -> None:
    filled.deletion.by_id("art")
    assert found(filled, "cat") == ["cats"]


def test_very_long_words_are_recorded_and_found(library: OpenLibrary) -> None:
    entry = picture("one", prompt="狐" * 1000)
    library.records.add([entry])
    assert found(library, "狐" * 300) == ["one"]


def test_filters_let_through_what_they_say(library: OpenLibrary) -> None:
    for number, (user, family, style) in enumerate([("ann", "demo", ""), ("bob", "demo", "soft"), ("", "fox", "soft")]):
        entry = picture(
            f"p{number}", user_id=user, family=family, style=style, created_at=1000 + number,
            template=f"t{number}", experiment=f"e{number}",
        )  # fmt: skip
        library.records.add([entry])
        if number:
            library.records.rate(entry.record.id, Rating(2 * number, "", 1))
    assert found(library, user_id="ann") == ["p0"]
    assert found(library, user_id="") == ["p2"]
    assert found(library, family="demo") == ["p1", "p0"]
    assert found(library, style="soft") == ["p2", "p1"]
    assert found(library, since=1001) == ["p2", "p1"]
    assert found(library, until=1001) == ["p0"]
    assert found(library, since=1001, until=1002) == ["p1"]
    assert found(library, min_rating=3) == ["p2"]
    assert found(library, max_rating=3) == ["p1"]
    assert found(library, template="t1", experiment="e1") == ["p1"]
    assert found(library, query="cat", style="soft", family="fox") == ["p2"]


@pytest.mark.parametrize("query", ["", "cat"])
def test_pages_follow_each_other_without_a_gap_while_pictures_come_and_go(library: OpenLibrary, query: str) -> None:
    for number in range(10):
        entry = picture(f"p{number}")
        library.records.add([entry])
    seen: list[str] = []
    before = None
    while True:
        page = library.search.page(ImageFilter(), 3, before, query)
        seen += [image.record.id for image in page.images]
        if page.next_before is None:
            break
        before = page.next_before
        entry = picture(f"new{len(seen)}")
        library.records.add([entry])
        library.deletion.by_id(seen[0])
    assert seen == [f"p{number}" for number in range(9, -1, -1)]


def test_statistics_count_what_a_filter_lets_through(library: OpenLibrary) -> None:
    assert statistics(library.database, ImageFilter()).images == 0
    for number in range(4):
        entry = picture(
            f"p{number}", b"same" if number < 2 else None, user_id=f"u{number % 2}", created_at=10 + number,
            style="soft" if number else "", repeat_of="p0" if number == 1 else "", generation_ms=100 * number,
        )  # fmt: skip
        library.records.add([entry])
    library.records.rate("p1", Rating(5, "", 1))
    library.records.rate("p2", Rating(4, "", 1))
    found = statistics(library.database, ImageFilter())
    assert (found.images, found.repeats, found.users, found.oldest, found.newest) == (4, 1, 2, 10, 13)
    assert found.stored_bytes == len(b"same") + 2 * len(picture("p2").data)
    assert list(found.ratings) == [0, 0, 0, 1, 1]
    (demo,) = found.families
    assert (demo.name, demo.images, demo.mean_rating) == ("demo", 4, 4.5)
    assert demo.mean_generation_ms == pytest.approx((0 + 200 + 300) / 3)
    assert [(group.name, group.images) for group in found.styles] == [("soft", 3), ("", 1)]
    assert statistics(library.database, ImageFilter(user_id="u1")).images == 2
