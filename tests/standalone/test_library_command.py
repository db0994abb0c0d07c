"""`starweave library` in its own words; what it does is tested in tests/library/."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.library.location import Location
from standalone.command import main
from tests.library.conftest import open_library
from tests.library.pictures import picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    library = open_library(Location(tmp_path / "library"))
    for name in ("one", "two", "three"):
        entry = picture(name, b"same" if name != "three" else None)
        library.records.add([entry])
    library.database.close()
    return tmp_path / "library"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["library", *map(str, arguments)])


def test_a_backup_fills_an_empty_library(folder: Path, tmp_path: Path) -> None:
    target, restored = tmp_path / "backup", tmp_path / "restored"
    outcome = run("backup", target, "--library", folder)
    assert (outcome.exit_code, outcome.stdout) == (0, f"3 pictures, 2 of them distinct, are in {target}.\n")
    outcome = run("restore", target, "--library", restored)
    assert outcome.exit_code == 0 and outcome.stdout.startswith("3 pictures as of ")
    assert run("verify", "--library", restored).stdout == "3 pictures, 0 more in the journal.\nEverything fits.\n"
    again = run("restore", target, "--library", restored)
    assert again.exit_code == 1
    assert again.stderr == "Error: The library holds pictures already; restore into an empty one.\n"


def test_verify_tells_what_is_amiss_and_repairs_it(folder: Path) -> None:
    lost = picture("three").record.blob
    (folder / "blobs" / lost[:2] / lost).unlink()
    outcome = run("verify", "--library", folder)
    assert outcome.exit_code == 1 and f"bytes missing: {lost}" in outcome.stdout
    assert outcome.stderr == "Error: Not everything fits; --repair sets it right.\n"
    outcome = run("verify", "--repair", "--library", folder)
    assert outcome.exit_code == 0 and "Repaired; 1 pictures were deleted.\nEverything fits.\n" in outcome.stdout


def test_prune_asks_for_a_limit_and_keeps_to_it(folder: Path) -> None:
    outcome = run("prune", "--library", folder)
    assert outcome.exit_code == 2 and "Name a limit" in outcome.stderr
    assert run("prune", "--max-images", "1", "--library", folder).stdout == "2 pictures are deleted.\n"


@pytest.mark.parametrize("command", [["verify"], ["prune", "--max-images", "1"], ["backup", "out"]])
def test_a_library_that_is_not_there_is_not_made(tmp_path: Path, command: list[str]) -> None:
    outcome = run(*command, "--library", tmp_path / "nowhere")
    assert outcome.exit_code == 1
    assert outcome.stderr == f"Error: There is no library at {tmp_path / 'nowhere'}; name its folder with --library.\n"
    assert not (tmp_path / "nowhere").exists()


def test_a_database_that_is_away_is_told_in_a_sentence(tmp_path: Path) -> None:
    url = "postgresql://library:secret@127.0.0.1:9/library"
    outcome = run("verify", "--library", tmp_path, "--database", url)
    assert outcome.exit_code == 1 and outcome.stderr.startswith("Error: The library cannot be used: ")
    assert "secret" not in outcome.stderr
