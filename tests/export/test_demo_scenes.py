"""The scenes that the demo checkpoint is trained on."""

import random

import numpy as np
import pytest

from export.demo.scenes import COLORS, RELATIONS, Scene, Thing, draw_held_out_scene, draw_scene, random_scene
from export.demo.shapes import SHAPES, draw_mask

PAIR = Scene("white", (Thing("red", "circle"), Thing("blue", "star")), relation="right of")


@pytest.mark.parametrize(
    ("scene", "caption"),
    [
        (PAIR, "a red circle right of a blue star on a white background"),
        (
            Scene("teal", (Thing("pink", "moon"),), position="at the top", size="small", style="pixel art"),
            "a small pink moon at the top on a teal background, pixel art",
        ),
        (Scene("teal", (Thing("gray", "cross"),), names_background=False), "a gray cross"),
    ],
)
def test_caption(scene: Scene, caption: str) -> None:
    assert scene.caption == caption


def test_training_never_draws_a_held_out_caption() -> None:
    rng = random.Random(1)
    assert not any(draw_scene(rng, pairs=0.5).held_out for _ in range(2000))
    assert all(draw_held_out_scene(rng, pairs=0.5).held_out for _ in range(200))


def test_about_a_tenth_of_all_captions_is_held_out() -> None:
    rng = random.Random(2)
    held_out = sum(random_scene(rng, pairs=0.5).held_out for _ in range(5000))
    assert 400 < held_out < 600


def test_held_out_follows_the_caption_alone() -> None:
    """Unlike `hash` of a string, the rule must be the same in every process."""
    assert Scene("white", (Thing("orange", "circle"),)).held_out
    assert not Scene("yellow", (Thing("red", "circle"),)).held_out


@pytest.mark.parametrize("relation", RELATIONS)
def test_things_are_painted_where_the_relation_puts_them(relation: str) -> None:
    scene = Scene("white", (Thing("red", "circle"), Thing("blue", "square")), relation=relation)
    pixels = np.asarray(scene.draw(128, 128, random.Random(3)))
    for placed in scene.placed:
        x, y = (round(fraction * 128) for fraction in placed.center)
        assert tuple(pixels[y, x]) == COLORS[placed.thing.color]


def test_swapping_colors_keeps_shapes_and_places() -> None:
    swapped = PAIR.with_colors_swapped()
    assert swapped.caption == "a blue circle right of a red star on a white background"
    assert [placed.center for placed in swapped.placed] == [placed.center for placed in PAIR.placed]


def test_no_thing_has_the_background_color() -> None:
    rng = random.Random(4)
    for _ in range(500):
        scene = random_scene(rng, pairs=0.5)
        assert all(thing.color != scene.background for thing in scene.things)


@pytest.mark.parametrize("style", ["", "outline", "pixel art", "soft"])
def test_pictures_have_the_size_asked_for(style: str) -> None:
    scene = Scene("black", (Thing("yellow", "heart"),), style=style)
    assert scene.draw(192, 128, random.Random(5)).size == (192, 128)


def test_an_outline_is_hollow() -> None:
    scene = Scene("black", (Thing("yellow", "square"),), style="outline")
    pixels = np.asarray(scene.draw(128, 128, random.Random(6)))
    assert tuple(pixels[64, 64]) == COLORS["black"]
    assert (pixels == COLORS["yellow"]).all(axis=-1).any()


def test_every_shape_has_a_silhouette_of_its_own() -> None:
    masks = [np.asarray(draw_mask((64, 64), shape, (32, 32), 24)) > 127 for shape in SHAPES]
    for index, mask in enumerate(masks):
        assert all((mask ^ other).sum() > 100 for other in masks[index + 1 :])


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="no shape 'hexagon'"):
        draw_mask((64, 64), "hexagon", (32, 32), 24)
