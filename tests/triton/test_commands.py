"""`starweave` as a client of a real server. (What it says when something is missing: tests/standalone/.)"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from standalone.command import main


def test_generate_writes_the_picture_and_says_what_it_did(bridge_address: str, tmp_path: Path) -> None:
    file = tmp_path / "pictures" / "moon.png"
    options = ["--steps", "4", "--size", "96x64", "--seed", "7", "--guidance-scale", "3", "--sampler", "euler_a"]
    outcome = _generate(bridge_address, file, *options, "--negative-prompt", "red", "--model", "demo")
    assert outcome.exit_code == 0, outcome.output
    with Image.open(file) as picture:
        assert (picture.format, picture.size) == ("PNG", (96, 64))
    assert outcome.stdout.startswith(f"{file}: 96x64 pixels, made by ")
    assert outcome.stdout.endswith(" s, seed 7.\n")


def test_the_same_seed_makes_the_same_picture_and_another_makes_another(bridge_address: str, tmp_path: Path) -> None:
    pictures = []
    for number, seed in enumerate(("1", "1", "2")):
        file = tmp_path / f"{number}.png"
        assert _generate(bridge_address, file, "--steps", "2", "--seed", seed).exit_code == 0
        pictures.append(file.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(("ending", "format"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_the_files_ending_chooses_the_format(bridge_address: str, tmp_path: Path, ending: str, format: str) -> None:
    file = tmp_path / f"moon.{ending}"
    assert _generate(bridge_address, file, "--steps", "1").exit_code == 0
    assert Image.open(io.BytesIO(file.read_bytes())).format == format


def test_what_the_server_refuses_is_told_and_writes_no_file(bridge_address: str, tmp_path: Path) -> None:
    file = tmp_path / "moon.png"
    outcome = _generate(bridge_address, file, "--steps", "100000")
    assert outcome.exit_code == 1
    assert "steps" in outcome.stderr
    assert not file.exists()


def test_models_lists_the_families(bridge_address: str) -> None:
    outcome = CliRunner().invoke(main, ["models", "--address", bridge_address])
    assert outcome.exit_code == 0, outcome.output
    assert "demo" in outcome.stdout
    assert "text-to-image" in outcome.stdout


def _generate(address: str, file: Path, *options: str) -> Result:
    arguments = ["generate", "a moon", "-o", str(file), "--address", address]
    return CliRunner().invoke(main, [*arguments, *options])
