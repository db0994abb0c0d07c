"""Grafana's dashboard of use: every query over a real library, as the role that Grafana has, counts as the RPC does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import ProgrammingError

from benchmarks.library.postgresql_server import PostgresqlServer
from bridge.insight.usage import Dimension, Use, usage
from bridge.library.filters import ImageFilter
from bridge.library.location import Location
from bridge.library.record import Rating
from tests.library.conftest import OpenLibrary, open_library
from tests.library.installed_postgresql import programs_or_skip
from tests.library.pictures import PLAIN, picture

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
HOUR = 3_600_000
FROM, TO = PLAIN.created_at, PLAIN.created_at + 3 * HOUR
PANELS = json.loads((DEPLOY / "grafana" / "dashboards" / "usage.json").read_text())["panels"]


@pytest.fixture(scope="module")
def filled(postgresql: PostgresqlServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenLibrary]:
    """A library with pictures of two models, three users, two styles and five hours, the last two not asked for."""
    folder = tmp_path_factory.mktemp("usage")
    library = open_library(Location(folder, postgresql.create("usage")))
    for number in range(30):
        entry = picture(
            f"p{number}",
            created_at=FROM + number * HOUR // 6,
            family="demo" if number % 3 else "sd1",
            user_id=("ann", "bob", "")[number % 7 % 3],
            style="soft" if number % 4 == 1 else "",
            repeat_of=f"p{number - 1}" if number % 5 == 4 else "",
            generation_ms=100 + number,
        )
        library.records.add([entry])
        if number % 6 == 2:
            library.records.rate(f"p{number}", Rating(1 + number % 5, "", FROM))
    yield library
    library.database.close()


@pytest.fixture(scope="module")
def role(filled: OpenLibrary, postgresql: PostgresqlServer) -> Iterator[Any]:
    """An engine on that library as the role that the production stack makes for Grafana."""
    url = postgresql.url("usage")
    environment = {
        "PATH": f"{programs_or_skip()}:/usr/bin:/bin",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgresql.port),
        "POSTGRES_USER": "library",
        "POSTGRES_DB": "usage",
        "STARWEAVE_GRAFANA_PASSWORD": "it's secret",
    }
    script = DEPLOY / "postgres" / "grafana.sh"
    subprocess.run(["bash", "-e", script], env=environment, check=True, capture_output=True)
    engine = create_engine(url.replace("postgresql://library@", "postgresql+psycopg://grafana@"))
    yield engine
    engine.dispose()


def answer(engine: Any, title: str) -> list[Any]:
    """What a panel shows between FROM and TO."""
    (panel,) = [panel for panel in PANELS if panel["title"] == title]
    (target,) = panel["targets"]
    query = target["rawSql"].replace("$__from", str(FROM)).replace("$__to", str(TO))
    assert "$" not in query
    with engine.connect() as connection:
        return list(connection.execute(text(query)).mappings())


def counted(library: OpenLibrary, by: Dimension) -> list[Use]:
    found = list(usage(library.database, ImageFilter(since=FROM, until=TO), by, 100))
    assert len(found) > 1 and sum(use.images for use in found) == 18
    return found


@pytest.mark.parametrize("by", [Dimension.USER, Dimension.MODEL, Dimension.STYLE])
def test_a_table_counts_as_the_rpc_does(filled: OpenLibrary, role: Any, by: Dimension) -> None:
    assert [Use(**row) for row in answer(role, f"Use by {by}")] == counted(filled, by)


def test_the_hours_are_those_of_the_rpc(filled: OpenLibrary, role: Any) -> None:
    shown = [
        (row["time"].astimezone(UTC).strftime("%Y-%m-%dT%H:00Z"), row["images"], row["repeats"], row["users"])
        for row in answer(role, "Use by hour")
    ]
    theirs = counted(filled, Dimension.HOUR)
    assert shown == [(use.name, use.images, use.repeats, use.users) for use in reversed(theirs)]
    assert datetime.fromtimestamp(FROM / 1000, UTC).minute, "the first hour is one that began before"


def test_every_panel_is_among_them() -> None:
    assert {panel["title"] for panel in PANELS} == {f"Use by {by}" for by in Dimension}


def test_grafana_changes_nothing(role: Any) -> None:
    with role.connect() as connection, pytest.raises(ProgrammingError, match="permission denied"):
        connection.execute(text("DELETE FROM images"))
