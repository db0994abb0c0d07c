"""`starweave versions` on a repository, without a server. (Trials of new versions: tests/triton/.)"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from standalone.command import main
from standalone.stack import StackSettings

MODELS = ("tokenizer", "text_encoder", "unet", "vae_decoder", "vae_encoder", "inpaint_encoder")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The demo with version 2 active and version 1 beside it, as copies."""
    folder = tmp_path / "model_repository"
    shutil.copytree(StackSettings().repository, folder)
    for model in MODELS:
        (folder / f"demo_{model}" / "1").rename(folder / f"demo_{model}" / "2")
    for config in (folder / name / "config.pbtxt" for name in ("demo", "demo_image_to_image", "demo_inpaint")):
        text = config.read_text().replace("model_version: 1", "model_version: 2")
        config.write_text(
            text.replace('"version"\n  value {\n    string_value: "1"', '"version"\n  value {\n    string_value: "2"')
        )
    for model in MODELS:
        (folder / f"demo_{model}" / "1").mkdir()
    return folder


def versions(repository: Path, verb: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["versions", verb, *arguments, "--repository", str(repository)])


def told(outcome: Result) -> Any:
    assert outcome.exit_code == 0, outcome.output
    return json.loads(outcome.stdout)


def test_versions_are_listed_rolled_back_and_pruned(repository: Path) -> None:
    listed = told(versions(repository, "list", "demo", "--json"))["versions"]
    assert [(version["number"], version["active"], version["missing"]) for version in listed] == [
        (1, False, []),
        (2, True, []),
    ]
    assert listed[0]["bytes"] == 0 < listed[1]["bytes"]
    assert told(versions(repository, "rollback", "demo", "--json")) == {"family": "demo", "active": 1, "before": 2}
    assert told(versions(repository, "activate", "demo", "1", "--json"))["active"] == 1
    assert told(versions(repository, "prune", "demo", "--json")) == {"family": "demo", "active": 1, "removed": [2]}
    assert "there is no other" in versions(repository, "prune", "demo").stdout


def test_a_table_says_which_is_active_and_which_incomplete(repository: Path) -> None:
    (repository / "demo_unet" / "1").rmdir()
    lines = versions(repository, "list", "demo").stdout.splitlines()
    assert any("1" in line and "incomplete: demo_unet missing" in line for line in lines)
    assert any("2" in line and "active" in line and "MB" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("activate", "demo", "7"), "The family 'demo' has no version 7; it has 1, 2."),
        (("activate", "fox"), "has no family 'fox'."),
        (("rollback", "../demo"), "has no family '../demo'."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(repository: Path, arguments: tuple[str, ...], sentence: str) -> None:
    outcome = versions(repository, *arguments)
    assert outcome.exit_code == 1
    assert outcome.stderr.startswith("Error: ") and outcome.stderr.endswith(f"{sentence}\n")
    assert [path.name for path in repository.parent.iterdir()] == ["model_repository"]
