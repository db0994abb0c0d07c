"""What is amiss is found, and repaired without touching what is well."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import text

from bridge.library.blobs import digest
from bridge.library.errors import ImageNotFound
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture


@pytest.fixture
def filled(library: OpenLibrary) -> OpenLibrary:
    for number in range(4):
        entry = picture(f"p{number}", b"same" if number < 2 else None)
        library.records.add([entry])
    return library


def change(library: OpenLibrary, statement: str) -> None:
    with library.database.writing() as connection:
        connection.execute(text(statement))


def repaired(library: OpenLibrary) -> int:
    condition = library.verification.condition()
    assert not condition.is_sound
    count = library.verification.repair(condition)
    assert library.verification.condition().is_sound
    return count


def test_a_sound_library_is_found_sound(filled: OpenLibrary) -> None:
    condition = filled.verification.condition()
    assert condition.is_sound and condition.images == 4


def test_bytes_of_no_picture_go(filled: OpenLibrary) -> None:
    orphan = digest(b"nobody's")
    filled.store.put(orphan, b"nobody's")
    assert filled.verification.condition().orphans == (orphan,)
    assert repaired(filled) == 0
    assert orphan not in set(filled.store.names()) and len(set(filled.store.names())) == 3


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_pictures_without_their_bytes_go_and_no_others(filled: OpenLibrary, damage: str) -> None:
    blob = filled.records.get("p0").record.blob
    if damage == "missing":
        filled.store.delete(blob)
    else:
        filled.store.put(blob, b"something else")
    assert getattr(filled.verification.condition(), damage) == (blob,)
    assert repaired(filled) == 2
    with pytest.raises(ImageNotFound):
        filled.records.get("p1")
    assert filled.records.data(filled.records.get("p2").record) == picture("p2").data


def test_wrong_counts_are_set_right(filled: OpenLibrary) -> None:
    change(filled, "UPDATE blobs SET refs = refs + 5")
    assert len(filled.verification.condition().miscounted) == 3
    assert repaired(filled) == 0
    filled.deletion.by_id("p0")
    filled.deletion.by_id("p1")
    assert len(list(filled.store.names())) == 2


def test_an_interrupted_deletion_is_finished(filled: OpenLibrary) -> None:
    change(filled, "DELETE FROM images WHERE id = 'p2'")
    change(filled, f"UPDATE blobs SET refs = 0 WHERE hash = '{picture('p2').record.blob}'")
    condition = filled.verification.condition()
    assert condition.unreferenced == (picture("p2").record.blob,) and not condition.orphans
    assert repaired(filled) == 0
    assert picture("p2").record.blob not in set(filled.store.names())


def test_prompts_of_no_picture_go(filled: OpenLibrary) -> None:
    change(filled, "INSERT INTO prompts (space, hash, text) VALUES ('s', 'h', 'nobody asked this')")
    assert filled.verification.condition().unused_prompts == 1
    assert repaired(filled) == 0


def test_what_was_left_half_written_long_ago_goes(filled: OpenLibrary) -> None:
    filled.journal.write(picture("waiting"))
    folder = filled.location.journal
    old, fresh = folder / "old.part", folder / "fresh.part"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    condition = filled.verification.condition()
    assert condition.abandoned == (old,) and condition.waiting == 1
    assert repaired(filled) == 0
    assert fresh.exists() and not old.exists()
