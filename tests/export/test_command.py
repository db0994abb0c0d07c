"""The shell command: its options, and errors as one sentence."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from export.command import export


def test_an_error_is_one_sentence_and_a_status(tmp_path: Path) -> None:
    result = CliRunner().invoke(export, [str(tmp_path), "--name", "demo", "--repository", str(tmp_path / "repository")])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1].startswith("Error: ")
    assert "model_index.json" in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_needed() -> None:
    assert CliRunner().invoke(export, ["somewhere"]).exit_code == 2
