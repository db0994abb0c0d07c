"""Each limit takes the oldest pictures beyond it and no other."""

from __future__ import annotations

import time

import pytest

from bridge.library.filters import ImageFilter
from bridge.library.retention import Retention, prune
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture

DAY_MS = 86_400_000
# Oldest first: name, age in days, user, bytes.
PICTURES = [
    ("a", 40, "ann", b"1111"),
    ("b", 30, "ann", b"2222"),
    ("c", 20, "", b"1111"),
    ("d", 10, "bob", b"333333"),
    ("e", 1, "ann", b"4444"),
    ("f", 0, "", b"5555"),
]


@pytest.mark.parametrize(
    ("retention", "left"),
    [
        (Retention(), "abcdef"),
        (Retention(max_days=25), "cdef"),
        (Retention(max_images=2), "ef"),
        # Newest first 4 + 4 + 6 + 4 bytes; the picture a has the same bytes as c, which are counted.
        (Retention(max_bytes=18), "cdef"),
        (Retention(max_bytes=22), "abcdef"),
        (Retention(max_bytes=13), "ef"),
        (Retention(max_per_user=1), "cdef"),
        (Retention(max_days=25, max_images=3, max_per_user=1), "def"),
        (Retention(max_images=100), "abcdef"),
    ],
)
def test_a_limit_takes_the_oldest(library: OpenLibrary, retention: Retention, left: str) -> None:
    now = time.time_ns() // 1_000_000
    for name, age, user, data in PICTURES:
        entry = picture(name, data, created_at=now - age * DAY_MS, user_id=user)
        library.records.add([entry])
    count = prune(library.database, library.deletion, retention)
    page = library.search.page(ImageFilter(), 10)
    assert "".join(sorted(image.record.id for image in page.images)) == left
    assert count == len(PICTURES) - len(left)
    assert library.verification.condition().is_sound
