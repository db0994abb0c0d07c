"""The nearest prompts come first, exactly, whatever was added, deleted or filtered meanwhile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from bridge.library.embedding import pooled
from bridge.library.filters import ImageFilter
from bridge.library.records import add_rows, count_references
from bridge.library.schema import prompts
from bridge.library.similarity import Similarity
from tests.library.conftest import OpenLibrary
from tests.library.pictures import picture

SPACE = "cd"


def direction(degrees: float) -> npt.NDArray[np.float32]:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def add(library: OpenLibrary, name: str, degrees: float, user: str = "ann", embedded_at: int = 1_000_000) -> None:
    """A picture whose prompt points into a direction; one of the same direction has the same prompt."""
    entry = picture(name, prompt=f"at {degrees}", user_id=user)
    library.records.add([entry])
    with library.database.writing() as connection:
        chosen = prompts.update().where(prompts.c.text == f"at {degrees}")
        connection.execute(chosen.values(vector=direction(degrees).tobytes(), embedded_at=embedded_at))


def found(similarity: Similarity, degrees: float, limit: int = 10, without: str = "", **chosen: str) -> list[str]:
    matches = similarity.matches(SPACE, direction(degrees), ImageFilter(**chosen), limit, without)  # type: ignore[arg-type]
    for match in matches:
        angle = float(match.image.record.prompt.removeprefix("at "))
        assert abs(match.similarity - np.cos(np.radians(angle - degrees))) < 1e-5
    return [match.image.record.id for match in matches]


def test_the_nearest_come_first_and_the_newest_of_one_prompt(library: OpenLibrary) -> None:
    similarity = Similarity(library.database)
    assert found(similarity, 0) == []
    for name, degrees in (("far", 170), ("near", 10), ("older", 40), ("newer", 40)):
        add(library, name, degrees)
    assert found(similarity, 0) == ["near", "newer", "older", "far"]
    assert found(similarity, 50, limit=2) == ["newer", "older"]
    assert found(similarity, 40, limit=2, without="newer") == ["older", "near"]


def test_filters_hold_and_other_spaces_are_left_out(library: OpenLibrary) -> None:
    similarity = Similarity(library.database)
    for number in range(30):
        add(library, f"p{number}", number, user="bob" if number == 29 else "ann")
    other = picture("other", prompt="at 0", space="another")
    library.records.add([other])
    assert found(similarity, 0, user_id="bob") == ["p29"]
    assert found(similarity, 0, limit=1) == ["p0"]
    assert found(similarity, 0, user_id="nobody") == []


def test_what_comes_and_goes_is_noticed(library: OpenLibrary) -> None:
    similarity = Similarity(library.database)
    add(library, "first", 5)
    assert found(similarity, 0) == ["first"]
    # Embedded by another bridge, whose clock is half a minute behind.
    add(library, "second", 1, embedded_at=1_000_000 - 30_000)
    assert found(similarity, 0) == ["second", "first"]
    library.deletion.by_id("second")
    assert found(similarity, 0) == ["first"]


def test_more_prompts_than_one_look_takes_are_all_there(library: OpenLibrary) -> None:
    with library.database.writing() as connection:
        records = [picture(f"p{number}", b"same", prompt=f"at {number / 10}").record for number in range(450)]
        count_references(connection, records)
        add_rows(connection, [(record, None) for record in records])
        for number, text in connection.execute(select(prompts.c.number, prompts.c.text)).all():
            vector = direction(float(text.removeprefix("at "))).tobytes()
            one = prompts.update().where(prompts.c.number == number)
            connection.execute(one.values(vector=vector, embedded_at=5))
    assert found(Similarity(library.database), 0, limit=430) == [f"p{number}" for number in range(430)]


def test_the_vector_is_the_hidden_state_where_the_words_end() -> None:
    start, end, padding = 90, 91, 91
    empty = np.array([start, end, padding, padding])
    embeddings = np.eye(8, dtype=np.float32)
    one = pooled(np.array([start, 5, end, padding]), embeddings[:4], empty)
    assert one.tolist() == embeddings[2][:8].tolist()
    two = pooled(np.array([start, 5, 6, end, start, 7, end, padding]), embeddings, empty)
    assert two.tolist() == np.asarray((embeddings[3] + embeddings[6]) / np.sqrt(2), np.float32).tolist()
    nothing = pooled(empty, embeddings[:4], empty)
    assert nothing.tolist() == embeddings[1].tolist()
