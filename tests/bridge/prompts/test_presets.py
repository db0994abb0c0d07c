"""Files of presets: what is in them, what is refused, and that changes are taken over."""

import asyncio
from pathlib import Path

import pytest

from bridge.errors import InvalidRequest
from bridge.prompts.addition import Addition, joined, new_to
from bridge.prompts.errors import InvalidPresets
from bridge.prompts.preset_file import read_preset_file
from bridge.prompts.preset_folder import BUILT_IN, PresetFolder
from bridge.prompts.presets import Presets
from tests.bridge.families import family

DEMO = family(aliases='["demo"]')


@pytest.fixture
def presets() -> Presets:
    return PresetFolder(BUILT_IN).presets


@pytest.mark.parametrize(
    "name", ["photographic", "digital-art", "anime", "watercolor", "pixel-art", "line-art", "cinematic"]
)
def test_common_styles_are_there_for_every_family(presets: Presets, name: str) -> None:
    style = presets.style(name, family())
    assert style.after
    assert style.negative


def test_the_demos_own_styles_are_the_words_it_was_trained_on(presets: Presets) -> None:
    assert {name: presets.style(name, DEMO).after for name in ("outline", "pixel-art", "soft")} == {
        "outline": ("outline",),
        "pixel-art": ("pixel art",),
        "soft": ("soft",),
    }
    assert "pixel art" in presets.style("pixel-art", family()).after
    assert len(presets.style("pixel-art", family()).after) > 1


@pytest.mark.parametrize("name", ["pixel-art", "Pixel Art", "pixel_art", " PIXEL-ART "])
def test_names_are_taken_as_they_are_written(presets: Presets, name: str) -> None:
    assert presets.style(name, DEMO).name == "pixel-art"


def test_an_unknown_name_is_refused_with_those_that_are_known(presets: Presets) -> None:
    with pytest.raises(InvalidRequest, match=r"style is 'oil'; the model fox knows 3d-model, anime, .*, watercolor\."):
        presets.style("oil", family())
    with pytest.raises(InvalidRequest, match=r"style is 'oil'; the model fox knows .*outline, .*, soft, watercolor\."):
        presets.style("oil", DEMO)
    with pytest.raises(InvalidRequest, match=r"quality is 'awful'; the model fox knows best, high, standard\."):
        presets.quality("awful", family())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("styles: {ink: {after: [ink}", "cannot be read"),
        ("styles: {ink: {after: [ink]}, ink: {after: [pen]}}", 'found duplicate key "ink"'),
        ("styles: {ink: {afterwards: [ink]}}", "styles.ink.afterwards: Extra inputs are not permitted."),
        ("styles: {Ink Pot: {after: [ink]}}", "styles.Ink Pot.[key]: String should match pattern"),
        ("styles: {ink: {after: ['']}}", "styles.ink.after.0: String should have at least 1 character."),
        ('styles: {ink: {after: ["a\\tb"]}}', "styles.ink.after.0: Value error, must be one line"),
        ("styles: {ink: {after: [1]}}", "styles.ink.after.0: Input should be a valid string."),
        ("style: {}", "style: Extra inputs are not permitted."),
        ("- ink", "Input should be a valid dictionary"),
        ("\x00", "cannot be read"),
    ],
)
def test_a_file_that_is_not_in_order_is_refused_by_place(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InvalidPresets) as caught:
        read_preset_file(file)
    assert str(file) in str(caught.value)
    assert problem in str(caught.value)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidPresets, match="holds no file"):
        PresetFolder(tmp_path)
    with pytest.raises(InvalidPresets, match="There is no folder of presets"):
        PresetFolder(tmp_path / "absent")


async def test_changes_are_taken_over_and_broken_files_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("styles: {ink: {after: [ink]}}")
    folder = PresetFolder(tmp_path)
    watcher = asyncio.create_task(folder.run())
    try:
        file.write_text("styles: {ink: {after: [ink, black]}}")
        while len(folder.presets.style("ink", family()).after) == 1:
            await asyncio.sleep(0.05)
        file.write_text("styles: {ink: {after: nothing}}")
        while "stay as they were" not in caplog.text:
            await asyncio.sleep(0.05)
        assert folder.presets.style("ink", family()).after == ("ink", "black")
        file.unlink()
        (tmp_path / "other.yaml").write_text("styles: {pen: {after: [pen]}}")
        while "pen" not in folder.presets.styles(family()):
            await asyncio.sleep(0.05)
        assert "ink" not in folder.presets.styles(family())
    finally:
        watcher.cancel()


@pytest.mark.parametrize(
    ("text", "phrases", "expected"),
    [
        ("a fox", [], "a fox"),
        ("a fox. ", [], "a fox. "),
        ("a fox", ["soft"], "a fox, soft"),
        ("a fox. ", ["soft"], "a fox, soft"),
        ("a fox,", ["soft", "old"], "a fox, soft, old"),
        ("...", ["soft"], "..., soft"),
        ("", ["soft", "old"], "soft, old"),
        ("a soft fox", ["soft"], "a soft fox"),
        ("a Soft fox", ["soft", "old", "old"], "a Soft fox, old"),
        ("a software", ["soft"], "a software, soft"),
    ],
)
def test_phrases_are_joined_by_commas(text: str, phrases: list[str], expected: str) -> None:
    assert joined(text, new_to(text, [Addition(phrase, "style") for phrase in phrases])) == expected


def test_phrases_before_leave_the_prompt_as_it_is() -> None:
    assert joined("a fox. ", [Addition("an etching", "style", before=True)]) == "an etching, a fox. "
