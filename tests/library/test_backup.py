"""A backup restores to the library that there was, on another database too, also when it was taken under load."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import pytest
from sqlalchemy import Table, select

from bridge.insight.preferences import preferences_of, reset_preferences
from bridge.library.backup import back_up, restore
from bridge.library.errors import DamagedBackup, LibraryRefused
from bridge.library.filters import ImageFilter
from bridge.library.location import Location
from bridge.library.record import LibraryImage, Rating
from bridge.library.schema import metadata, preference_resets
from tests.library.conftest import OpenLibrary, open_library
from tests.library.pictures import picture


def contents(library: OpenLibrary) -> list[tuple[LibraryImage, bytes]]:
    images = library.search.page(ImageFilter(), 200).images
    return [(image, library.records.data(image.record)) for image in images]


def rows(library: OpenLibrary, table: Table) -> list[str]:
    """A table's rows, without what a library gives out or computes for itself."""
    own = ("number", "prompt_number", "vector", "embedded_at")
    with library.database.reading() as connection:
        found = connection.execute(select(*(column for column in table.c if column.name not in own)))
        return sorted(str(row) for row in found)


@pytest.fixture
def filled(library: OpenLibrary) -> OpenLibrary:
    for number in range(6):
        entry = picture(f"p{number}", b"same" if number < 2 else None, seed=number)
        library.records.add([entry])
    library.records.rate("p3", Rating(4, "nice", 9))
    with library.database.writing() as connection:
        connection.execute(preference_resets.insert().values(user_id="ann", reset_at=5))
    return library


@pytest.fixture
def backup(filled: OpenLibrary, tmp_path: Path) -> Path:
    manifest = back_up(filled.database, filled.store, tmp_path / "backup")
    assert (manifest.images, manifest.blobs, manifest.missing) == (6, 5, 0)
    return tmp_path / "backup"


def elsewhere(tmp_path: Path) -> OpenLibrary:
    return open_library(Location(tmp_path / "elsewhere"))


def test_a_restored_library_is_the_same(filled: OpenLibrary, backup: Path, tmp_path: Path) -> None:
    restored = elsewhere(tmp_path)
    restore(restored.database, restored.store, backup)
    assert contents(restored) == contents(filled)
    assert restored.verification.condition().is_sound
    assert [image.record.id for image in restored.search.page(ImageFilter(), 9, query="cat").images][:1] == ["p5"]


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_every_table_is_in_a_backup(filled: OpenLibrary, backup: Path, tmp_path: Path, table: Table) -> None:
    """A table that is added to the schema fails here until it is filled above, and restored."""
    restored = elsewhere(tmp_path)
    restore(restored.database, restored.store, backup)
    there_were = rows(filled, table)
    assert there_were and rows(restored, table) == there_were


def test_preferences_that_were_reset_stay_so(library: OpenLibrary, tmp_path: Path) -> None:
    asked = {"style": "soft", "request": {"settings": {"style": "soft"}}}
    for number in range(5):
        entry = picture(f"p{number}", **asked)
        library.records.add([entry])
    back_up(library.database, library.store, tmp_path / "before")
    reset = reset_preferences(library.database, "ann")
    back_up(library.database, library.store, tmp_path / "after")
    known = elsewhere(tmp_path)
    with known.database.writing() as connection:
        connection.execute(preference_resets.insert().values(user_id="ann", reset_at=reset.since - 1))
    restore(known.database, known.store, tmp_path / "after")
    assert preferences_of(known.database, "ann") == reset
    # Without a reset there would be a preference.
    unknown = open_library(Location(tmp_path / "unknown"))
    restore(unknown.database, unknown.store, tmp_path / "before")
    assert preferences_of(unknown.database, "ann").style is not None


def test_a_backup_of_sqlite_fills_either_database(library: OpenLibrary, tmp_path: Path) -> None:
    source = elsewhere(tmp_path)
    entry = picture("one")
    source.records.add([entry])
    back_up(source.database, source.store, tmp_path / "backup")
    restore(library.database, library.store, tmp_path / "backup")
    assert contents(library) == contents(source)
    # Numbers go on where the restored ones end.
    last = max(image.number for image in library.search.page(ImageFilter(), 10).images)
    library.records.add([picture("two")])
    assert library.records.get("two").number > last


def test_a_library_with_pictures_is_not_overwritten(filled: OpenLibrary, backup: Path) -> None:
    with pytest.raises(LibraryRefused, match="holds pictures already"):
        restore(filled.database, filled.store, backup)
    with pytest.raises(LibraryRefused, match="exists already"):
        back_up(filled.database, filled.store, backup)


@pytest.mark.parametrize("victim", ["records.jsonl.gz", "manifest.json", "blobs"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_backup_restores_nothing(backup: Path, tmp_path: Path, victim: str, damage: str) -> None:
    path = backup / victim
    if victim == "blobs":
        path = next(each for each in path.rglob("*") if each.is_file())
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-2] + b"??")
    restored = elsewhere(tmp_path)
    with pytest.raises(DamagedBackup):
        restore(restored.database, restored.store, backup)
    assert contents(restored) == []


def test_a_backup_taken_under_load_restores_to_a_sound_library(library: OpenLibrary, tmp_path: Path) -> None:
    stop = threading.Event()
    began = threading.Event()

    def work() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            entry = picture(f"p{number}", f"shared {number % 7}".encode() if number % 2 else None)
            library.records.add([entry])
            if number >= 10:
                began.set()
            if number % 3 == 0:
                library.deletion.by_id(f"p{number // 2}")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        began.wait(60)
        manifest = back_up(library.database, library.store, tmp_path / "backup")
    finally:
        stop.set()
        worker.join()
    restored = elsewhere(tmp_path)
    restore(restored.database, restored.store, tmp_path / "backup")
    condition = restored.verification.condition()
    assert condition.is_sound and condition.images == manifest.images > 0
    assert library.verification.condition().is_sound
