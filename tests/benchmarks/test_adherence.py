"""Prompt adherence: what is read from rendered scenes, for which the truth is known."""

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.adherence import held_out_tasks, judge
from benchmarks.adherence_report import contact_sheet, rates
from benchmarks.picture_classification import lab, nearest_color, thing_color, thing_position
from export.demo.scenes import COLORS, POSITIONS, SIZES, Scene, Thing

TASKS = held_out_tasks(singles=48, pairs=48, styled=0)


@pytest.mark.parametrize("size", [128, 256])
def test_rendered_prompts_are_followed(size: int) -> None:
    rng = random.Random(1)
    verdicts = [judge(task.scene.draw(size, size, rng), task, size) for task in TASKS]
    assert [verdict for verdict in verdicts if not verdict.followed] == []
    assert sum(verdict.shapes for verdict in verdicts) >= 0.95 * len(verdicts)


def test_rendered_styles_are_followed() -> None:
    rng = random.Random(2)
    tasks = held_out_tasks(singles=0, pairs=0, styled=60)
    verdicts = [judge(task.scene.draw(128, 128, rng), task, 128) for task in tasks]
    assert sum(verdict.followed for verdict in verdicts) >= 57


def test_swapped_colors_are_noticed() -> None:
    rng = random.Random(3)
    for task in TASKS:
        if task.group == "pairs":
            verdict = judge(task.scene.with_colors_swapped().draw(128, 128, rng), task, 128)
            assert not verdict.colors and not verdict.followed


def test_a_wrong_background_is_noticed() -> None:
    rng = random.Random(4)
    for task in TASKS:
        used = {task.scene.background, *(thing.color for thing in task.scene.things)}
        other = next(color for color in COLORS if color not in used)
        assert not judge(replace(task.scene, background=other).draw(128, 128, rng), task, 128).background


def test_a_wrong_position_is_noticed() -> None:
    rng = random.Random(5)
    for task in TASKS:
        if task.group == "singles" and task.scene.size != "large":
            other = next(position for position in POSITIONS if position != task.scene.position)
            assert not judge(replace(task.scene, position=other).draw(128, 128, rng), task, 128).position


def test_a_missing_thing_is_noticed() -> None:
    for task in TASKS:
        alone = Scene(task.scene.background, (task.scene.things[0],), position="at the top", size="small")
        empty = np.full((128, 128, 3), COLORS[task.scene.background], np.uint8)
        assert thing_color(empty, (0.5, 0.5), 0.2) is None
        assert thing_position(empty) is None
        if task.group == "pairs":
            assert not judge(alone.draw(128, 128, random.Random(6)), task, 128).followed


@pytest.mark.parametrize("color", COLORS)
def test_every_color_is_its_own_nearest(color: str) -> None:
    assert nearest_color(lab(np.array([COLORS[color]], np.uint8))) == color


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("size", [size for size in SIZES if size != "large"])
def test_positions_are_read_from_moons_too(position: str, size: str) -> None:
    scene = Scene("white", (Thing("black", "moon"),), position=position, size=size)
    assert thing_position(np.asarray(scene.draw(128, 128, random.Random(7)))) == position


def test_prompts_are_held_out_unique_and_always_the_same() -> None:
    assert held_out_tasks(48, 48, 24) == held_out_tasks(48, 48, 24)
    tasks = held_out_tasks(48, 48, 24)
    assert all(task.scene.held_out for task in tasks)
    assert len({task.scene.caption for task in tasks}) == len({task.seed for task in tasks}) == 120


def test_rates_count_per_size_and_group() -> None:
    rng = random.Random(8)
    good, bad = TASKS[-1], TASKS[-2]
    verdicts = [
        judge(good.scene.draw(128, 128, rng), good, 128),
        judge(bad.scene.with_colors_swapped().draw(128, 128, rng), bad, 128),
        judge(good.scene.draw(256, 256, rng), good, 256),
    ]
    first, second = rates(verdicts)
    assert (first.group, first.size, first.count, first.followed, first.colors) == ("pairs", 128, 2, 1, 1)
    assert (second.group, second.size, second.count, second.followed) == ("pairs", 256, 1, 1)


def test_contact_sheet_shows_every_picture() -> None:
    pictures = [task.scene.draw(128, 128, random.Random(9)) for task in TASKS[:13]]
    verdicts = [judge(picture, task, 128) for picture, task in zip(pictures, TASKS, strict=False)]
    sheet = contact_sheet(pictures, verdicts)
    assert sheet.width == 12 * 132
    assert sheet.height == 2 * 170
