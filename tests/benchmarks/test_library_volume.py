"""The library's measurement asks every question at every size. (`make verify` measures at 100,000 pictures.)"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select

from benchmarks.library.volume import measure
from bridge.library.database import Database
from bridge.library.location import Location
from bridge.library.schema import images, prompts


def test_every_question_is_answered_at_every_size(tmp_path: Path) -> None:
    location = Location(tmp_path)
    found = measure(location, (60, 200), 2, lambda said: None)
    assert len(found) == 10
    for answers in found:
        assert set(answers.p95) == {60, 200} and answers.growth > 0
    database = Database(location.database_url)
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(images)).scalar() == 200
        embedded = prompts.c.embedded_at.is_not(None)
        assert connection.execute(select(func.count()).select_from(prompts).where(embedded)).scalar() == 200
    database.close()
