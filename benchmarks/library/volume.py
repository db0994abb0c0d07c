"""How the library's answers slow down as it grows: lists, searches and similar pictures at two sizes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import select

from bridge.library.blobs import digest
from bridge.library.database import Database
from bridge.library.filters import ImageFilter
from bridge.library.location import Location
from bridge.library.record import Rating, Record
from bridge.library.records import add_rows, count_references
from bridge.library.schema import prompts
from bridge.library.search import Search
from bridge.library.similarity import Similarity

# The width of SD 1.5's text embeddings.
_WIDTH = 768
_SPACE = "volume"
_BATCH = 1000
_PAGE = 50
_USERS = 100
_COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
_SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
_STYLES = ("", "soft", "outline", "pixel-art")


@dataclass(frozen=True, slots=True)
class Answers:
    """The 95th percentiles of the answers to one kind of question, in seconds, by the number of pictures."""

    question: str
    p95: dict[int, float]

    @property
    def growth(self) -> float:
        """How many times longer the largest library takes than the smallest."""
        return self.p95[max(self.p95)] / self.p95[min(self.p95)]


def measure(location: Location, sizes: tuple[int, ...], repeats: int, say: Callable[[str], None]) -> list[Answers]:
    """Fills an empty library up to each of the sizes in turn, and asks every question `repeats` times there."""
    database = Database(location.database_url)
    database.migrate()
    rng = random.Random(1)
    found: dict[str, dict[int, float]] = {}
    try:
        for start, size in zip((0, *sizes), sizes, strict=False):
            say(f"filling up to {size} pictures")
            for first in range(start, size, _BATCH):
                _fill(database, range(first, min(first + _BATCH, size)), rng)
            for question, ask in _questions(database, size, rng).items():
                ask()
                seconds = [_timed(ask) for _ in range(repeats)]
                found.setdefault(question, {})[size] = float(np.percentile(seconds, 95))
    finally:
        database.close()
    return [Answers(question, p95) for question, p95 in found.items()]


def _fill(database: Database, numbers: range, rng: random.Random) -> None:
    with database.writing() as connection:
        rated = [
            (_record(number, rng), Rating(rng.randint(1, 5), "", number) if rng.random() < 0.1 else None)
            for number in numbers
        ]
        count_references(connection, [record for record, _ in rated])
        add_rows(connection, rated)
        fresh = connection.execute(select(prompts.c.number).where(prompts.c.embedded_at.is_(None))).scalars().all()
        for number in fresh:
            values = {"vector": _vector(number).astype("<f4").tobytes(), "embedded_at": time.time_ns() // 1_000_000}
            connection.execute(prompts.update().where(prompts.c.number == number).values(values))


def _record(number: int, rng: random.Random) -> Record:
    prompt = f"a {rng.choice(_COLORS)} {rng.choice(_SHAPES)} on a {rng.choice(_COLORS)} background, number {number}"
    return Record(
        id=f"picture-{number}",
        created_at=1_700_000_000_000 + 1000 * number,
        user_id=f"user-{rng.randrange(_USERS)}",
        requested_model="",
        family="demo",
        version=1,
        fingerprint="0" * 16,
        space=_SPACE,
        capability="text-to-image",
        prompt_given=prompt,
        prompt=prompt,
        negative_prompt="",
        style=rng.choice(_STYLES),
        quality="",
        template="",
        experiment="",
        seed=number,
        width=512,
        height=512,
        generation_ms=1000,
        repeat_key=digest(prompt.encode()),
        repeat_of="",
        blob=digest(str(number).encode()),
        format="image/png",
        size=300_000,
        settings={"steps": "20", "sampler": "ddim"},
        debug_info={"waiting_ms": "1.0", "denoising_ms": "900.0"},
        request={"prompt": prompt},
    )


def _vector(seed: int) -> npt.NDArray[np.float32]:
    vector = np.random.default_rng(seed).standard_normal(_WIDTH).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _questions(database: Database, size: int, rng: random.Random) -> dict[str, Callable[[], object]]:
    search, similarity = Search(database), Similarity(database)

    def user() -> ImageFilter:
        return ImageFilter(user_id=f"user-{rng.randrange(_USERS)}")

    def similar(chosen: ImageFilter) -> object:
        return similarity.matches(_SPACE, _vector(rng.randrange(2**31)), chosen, 20)

    return {
        "list, the newest": lambda: search.page(ImageFilter(), _PAGE),
        "list, a page from the middle": lambda: search.page(ImageFilter(), _PAGE, rng.randrange(1, size)),
        "list, one user's": lambda: search.page(user(), _PAGE),
        "list, well rated": lambda: search.page(ImageFilter(min_rating=4), _PAGE),
        "search, a common word": lambda: search.page(ImageFilter(), _PAGE, query=rng.choice(_SHAPES)),
        "search, three words": lambda: search.page(
            ImageFilter(), _PAGE, query=f"{rng.choice(_COLORS)} {rng.choice(_SHAPES)} background"
        ),
        "search, a rare word": lambda: search.page(ImageFilter(), _PAGE, query=str(rng.randrange(size))),
        "search, one user's": lambda: search.page(user(), _PAGE, query=rng.choice(_SHAPES)),
        "similar": lambda: similar(ImageFilter()),
        "similar, one user's": lambda: similar(user()),
    }


def _timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began
