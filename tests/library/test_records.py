"""Pictures go into the library, come out as they were, and share the bytes that they have in common."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from bridge.library.errors import ImageNotFound
from bridge.library.record import Rating
from bridge.library.schema import blobs, images, prompts
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture


def references(library: OpenLibrary) -> dict[str, int]:
    with library.database.reading() as connection:
        return {name: refs for name, refs in connection.execute(select(blobs.c.hash, blobs.c.refs))}


def prompt_texts(library: OpenLibrary) -> list[str]:
    with library.database.reading() as connection:
        return sorted(connection.execute(select(prompts.c.text)).scalars())


def test_a_picture_comes_back_as_it_was(library: OpenLibrary) -> None:
    entry = picture("one", prompt="ein Fuchs, 狐, 🦊", debug_info={"waiting_ms": "0.5"})
    library.records.add([entry])
    image = library.records.get("one")
    assert image.record == entry.record and image.rating is None
    assert library.records.data(image.record) == entry.data


def test_what_is_recorded_twice_is_there_once(library: OpenLibrary) -> None:
    entry = picture("one")
    library.records.add([entry])
    library.records.add([entry])
    assert references(library) == {entry.record.blob: 1}


def test_pictures_recorded_together_share_bytes_and_prompts(library: OpenLibrary) -> None:
    known = picture("known", b"same", prompt="a cat")
    library.records.add([known])
    entries = [
        known,
        picture("one", b"same", prompt="a cat"),
        picture("two", b"same", prompt="a dog"),
        picture("three", prompt="a dog"),
        picture("four", prompt="a dog", space="another"),
    ]
    library.records.add(entries)
    assert [library.records.get(entry.record.id).record for entry in entries] == [entry.record for entry in entries]
    own = {entry.record.blob: 1 for entry in entries[3:]}
    assert references(library) == {known.record.blob: 3, **own}
    with library.database.reading() as connection:
        numbers = dict(connection.execute(select(images.c.id, images.c.prompt_number)).all())
    assert numbers["known"] == numbers["one"] and numbers["two"] == numbers["three"]
    assert len(set(numbers.values())) == 3


def test_pictures_are_recorded_together_or_not_at_all(library: OpenLibrary) -> None:
    with pytest.raises(IntegrityError):
        library.records.add([picture("one"), picture("two"), picture("two", b"others")])
    assert references(library) == {}
    library.records.add([])


def test_no_character_keeps_a_picture_out(library: OpenLibrary) -> None:
    entry = picture("one", user_id="a\0nn", style="\0")
    library.records.add([entry])
    assert library.records.get("one").record.user_id == "ann"


def test_equal_bytes_are_kept_once_and_go_with_the_last_picture(library: OpenLibrary) -> None:
    for name in ("one", "two"):
        entry = picture(name, b"same")
        library.records.add([entry])
    assert references(library) == {entry.record.blob: 2}
    assert library.deletion.by_id("one") == 1
    assert library.records.data(entry.record) == b"same"
    assert library.deletion.by_id("two") == 1
    assert references(library) == {} and list(library.store.names()) == []
    with pytest.raises(ImageNotFound):
        library.records.data(entry.record)


def test_what_was_deleted_is_not_found(library: OpenLibrary) -> None:
    entry = picture("one")
    library.records.add([entry])
    library.deletion.by_id("one")
    assert library.deletion.by_id("one") == 0
    with pytest.raises(ImageNotFound, match="holds no picture 'one'"):
        library.records.get("one")
    with pytest.raises(ImageNotFound):
        library.records.rate("one", Rating(5, "", 1))


def test_a_user_goes_with_pictures_and_prompts(library: OpenLibrary) -> None:
    for name, user, prompt in (("a", "ann", "hers"), ("b", "ann", "both"), ("c", "bob", "both")):
        entry = picture(name, user_id=user, prompt=prompt)
        library.records.add([entry])
    assert prompt_texts(library) == ["both", "hers"]
    assert library.deletion.of_user("ann") == 2
    assert prompt_texts(library) == ["both"]
    assert list(references(library)) == [picture("c").record.blob]
    assert library.verification.condition().is_sound


def test_a_rating_takes_the_place_of_the_one_before(library: OpenLibrary) -> None:
    entry = picture("one")
    library.records.add([entry])
    library.records.rate("one", Rating(2, "dull", 5))
    assert library.records.rate("one", Rating(5, "grown on me\0", 6)).rating == Rating(5, "grown on me", 6)
    assert library.records.get("one").record == entry.record


def test_the_oldest_of_equal_pictures_is_told(library: OpenLibrary) -> None:
    assert library.records.oldest_with("key") is None
    for name in ("one", "two"):
        entry = picture(name)
        library.records.add([entry])
    oldest = library.records.oldest_with("key")
    assert oldest is not None and oldest.record.id == "one"


def test_adding_and_deleting_the_same_bytes_at_once_loses_none(library: OpenLibrary) -> None:
    def add_and_delete(worker: int) -> None:
        for turn in range(6):
            entry = picture(f"{worker}-{turn}", b"the same for all")
            library.records.add([entry])
            if turn % 3:
                library.deletion.by_id(entry.record.id)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(add_and_delete, worker) for worker in range(4)]:
            each.result()
    assert references(library) == {picture("x", b"the same for all").record.blob: 8}
    assert library.verification.condition().is_sound
