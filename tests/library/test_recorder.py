"""What is answered is recorded: after a crash, after a database that was away, and whatever an entry holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain
from pathlib import Path

import pytest

from bridge.library import recorder as recorder_module
from bridge.library.journal import DamagedEntry, Journal
from bridge.library.record import Entry
from bridge.library.recorder import Recorder
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


class Shelf:
    """Takes records, unless it is told to fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.errors: dict[str, Exception] = {}
        self.broken: Exception | None = None

    def add(self, entries: Sequence[Entry]) -> None:
        ids = [entry.record.id for entry in entries]
        for error in (self.broken, *map(self.errors.get, ids)):
            if error is not None:
                raise error
        self.batches.append(ids)

    @property
    def ids(self) -> list[str]:
        return list(chain(*self.batches))


@asynccontextmanager
async def running(journal: Journal, shelf: Shelf) -> AsyncIterator[Recorder]:
    recorder = Recorder(journal, shelf.add, lambda: None)
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.wait({task})
        recorder.close()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(recorder_module, "_LONGEST_PAUSE", 0.02)


async def test_a_kept_picture_is_recorded_and_leaves_the_journal(journal: Journal) -> None:
    shelf = Shelf()
    async with running(journal, shelf) as recorder:
        await recorder.keep(partial(picture, "one"))
        await recorder.settled("one")
        assert shelf.ids == ["one"] and journal.entries() == [] and recorder.waiting == 0


async def test_pictures_of_a_moment_are_recorded_together(journal: Journal) -> None:
    shelf = Shelf()
    async with running(journal, shelf) as recorder:
        for name in ("one", "two", "three"):
            await recorder.keep(partial(picture, name))
        assert shelf.batches == []
        await recorder.settled("two")
        assert shelf.batches == [["one", "two", "three"]] and recorder.waiting == 0


async def test_nobody_has_to_ask_for_them(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_GATHER_SECONDS", 0.05)
    shelf = Shelf()
    async with running(journal, shelf) as recorder:
        await recorder.keep(partial(picture, "one"))
        while recorder.waiting:
            await asyncio.sleep(0.01)
    assert shelf.ids == ["one"]


async def test_a_repeat_waits_for_its_own_key_alone(journal: Journal) -> None:
    shelf = Shelf()
    async with running(journal, shelf) as recorder:
        await recorder.keep(partial(picture, "one", repeat_key="its own"))
        await recorder.repeat_settled("another")
        assert shelf.ids == []
        await recorder.repeat_settled("its own")
        assert shelf.ids == ["one"]


async def test_what_an_earlier_bridge_has_left_is_recorded_in_its_order(journal: Journal) -> None:
    for name in ("b", "a", "c"):
        journal.write(picture(name))
        await asyncio.sleep(0.01)
    shelf = Shelf()
    async with running(journal, shelf) as recorder:
        await recorder.settled()
    assert shelf.ids == ["b", "a", "c"] and journal.entries() == []


async def test_pictures_wait_while_the_database_is_away_and_arrive_when_it_is_back(journal: Journal) -> None:
    shelf = Shelf()
    shelf.broken = OSError("no database")
    async with running(journal, shelf) as recorder:
        for number in range(5):
            await recorder.keep(partial(picture, str(number)))
        await asyncio.sleep(0.2)
        assert shelf.ids == [] and len(journal.entries()) == recorder.waiting == 5
        shelf.broken = None
        await recorder.settled()
    assert sorted(shelf.ids) == list("01234") and journal.entries() == []


async def test_an_entry_that_cannot_be_recorded_does_not_stop_the_others(journal: Journal) -> None:
    shelf = Shelf()
    # A bucket that is not there yet is told of as a file that is not.
    shelf.errors = {"bad": ValueError("not for this table"), "stuck": FileNotFoundError("only this one")}
    async with running(journal, shelf) as recorder:
        for name in ("bad", "stuck", "good"):
            await recorder.keep(partial(picture, name))
        await recorder.settled("good")
        await recorder.settled("bad")
        assert [path.stem for path in journal.set_aside_entries()] == ["bad"]
        shelf.errors = {}
        await recorder.settled()
    assert shelf.ids == ["good", "stuck"]


async def test_one_that_never_can_be_recorded_does_not_hold_up_those_that_arrive(journal: Journal) -> None:
    shelf = Shelf()
    shelf.errors = {"stuck": OSError("only this one")}
    async with running(journal, shelf) as recorder:
        await recorder.keep(partial(picture, "stuck"))
        for number in range(40):
            await recorder.keep(partial(picture, str(number)))
            await asyncio.sleep(0.005)
        for number in range(40):
            await recorder.settled(str(number))
        assert recorder.waiting == 1 and len(shelf.ids) == 40
        # Only those that failed with it were tried alone.
        assert len(shelf.batches) < 40


@pytest.mark.parametrize("content", [b"", b"{}", b"{}\nbytes", b"no json\nbytes"])
async def test_a_damaged_entry_is_set_aside(journal: Journal, content: bytes) -> None:
    path = journal.write(picture("one"))
    whole = path.read_bytes()
    for damaged in (content, whole[:-1], whole.replace(b"the bytes of", b"teh bytes of")):
        path.write_bytes(damaged)
        with pytest.raises(DamagedEntry):
            journal.read(path)
    shelf = Shelf()
    async with running(journal, shelf) as recorder:
        await recorder.settled()
    assert shelf.ids == [] and len(journal.set_aside_entries()) == 1


def test_an_entry_is_read_as_it_was_written(journal: Journal) -> None:
    entry = picture("one", b"\n\0\xff{}\n", prompt="line\nbreak")
    assert journal.read(journal.write(entry)) == entry


def test_a_disk_that_is_almost_full_is_left_alone(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.library.journal._FREE_BYTES", 2**60)
    with pytest.raises(OSError, match="free on the disk"):
        journal.write(picture("one"))
    assert journal.entries() == []


async def test_a_crash_at_any_moment_neither_loses_nor_doubles_a_picture(library: OpenLibrary) -> None:
    """Between the blob and the commit, and between the commit and the end of the journal's entry."""
    entry = picture("one")
    library.journal.write(entry)
    library.store.put(entry.record.blob, entry.data)
    async with recording(library) as recorder:
        await recorder.settled()
    library.journal.write(Entry(entry.record, entry.data))
    async with recording(library) as recorder:
        await recorder.settled()
    condition = library.verification.condition()
    assert condition.is_sound and (condition.images, condition.waiting) == (1, 0)


@asynccontextmanager
async def recording(library: OpenLibrary) -> AsyncIterator[Recorder]:
    recorder = Recorder(library.journal, library.records.add, lambda: None)
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait({task})
    recorder.close()
