"""`make verify` runs every part, fails when one does not hold, and keeps what it did not run."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.verify.findings import Check, Findings
from benchmarks.verify.part import Part
from benchmarks.verify.report import update


def part(*checks: Check, error: Exception | None = None) -> Part:
    def run(folder: Path, say: object) -> Findings:
        assert list(folder.iterdir()) == []
        if error:
            raise error
        return Findings(checks, {"pictures": 3, "largest error": 0.123456})

    module = ModuleType("part", "Says something.\n\nAt length.")
    module.run = run  # type: ignore[attr-defined]
    return Part("part", module)


def test_every_part_says_what_it_shows_and_runs() -> None:
    for each in Part.all():
        assert each.module.__doc__ and callable(each.module.run), each.name


@pytest.mark.parametrize("held", [True, False])
def test_a_part_holds_when_all_its_checks_do(held: bool) -> None:
    entry = part(Check("One.", True), Check("Two.", held)).run(str)
    assert (entry["held"], entry["title"], entry["error"]) == (held, "Says something.", "")


def test_a_part_that_raises_has_failed() -> None:
    entry = part(error=RuntimeError("the server is gone")).run(str)
    assert not entry["held"]
    assert "the server is gone" in entry["error"]


def test_the_report_keeps_the_parts_that_were_not_run(tmp_path: Path) -> None:
    update(tmp_path, {"old": part(Check("It was so.", True)).run(str)})
    update(tmp_path, {"new": part(Check("It is not so.", False)).run(str)})
    assert list(json.loads((tmp_path / "verify.json").read_text())) == ["new", "old"]
    text = (tmp_path / "verify.md").read_text()
    assert "- held: It was so." in text
    assert "- **failed**: It is not so." in text
    assert "| largest error | 0.1235 |" in text
