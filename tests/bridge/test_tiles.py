"""Tiles cover a picture, and what is made of them shows no seam where they overlap by what a network looks at."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from bridge.tiles import Pixels, TileGrid, TileRule

RULES = [
    TileRule(smallest=16, largest=256, multiple=1, reach=8),
    TileRule(smallest=64, largest=128, multiple=8, reach=16),
    TileRule(smallest=128, largest=128, multiple=8, reach=16),
    TileRule(smallest=24, largest=120, multiple=3, reach=5),
    TileRule(smallest=256, largest=256, multiple=8, reach=64),
]
SIZES = [(1, 1), (7, 300), (128, 128), (129, 255), (256, 257), (1000, 61)]
LOOKS = 20


def picture(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3)).astype(np.uint8)


def doubled(pixels: Pixels) -> Pixels:
    return pixels.repeat(2, axis=0).repeat(2, axis=1)


def blurred(pixels: Pixels) -> Pixels:
    """Stands for a network that looks `LOOKS` pixels far, and pads with zeros at the ends of what it gets."""
    size = (2 * LOOKS + 1, 2 * LOOKS + 1, 1)
    return doubled(np.rint(uniform_filter(pixels.astype(float), size, mode="constant")).astype(np.uint8))


def largest_difference(rule: TileRule, pixels: Pixels) -> int:
    grid = TileGrid.over(pixels, rule)
    joined = grid.join([blurred(tile) for tile in grid.cut(pixels)], 2)
    return int(np.abs(joined.astype(int) - blurred(pixels)).max())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_what_the_model_takes_and_join_to_the_whole_picture(rule: TileRule, size: tuple[int, int]) -> None:
    assert rule.is_possible
    pixels = picture(*size)
    grid = TileGrid.over(pixels, rule)
    tiles = grid.cut(pixels)
    assert len({tile.shape for tile in tiles}) == 1
    for side in tiles[0].shape[:2]:
        assert rule.smallest <= side <= rule.largest and side % rule.multiple == 0
    for side in (grid.rows, grid.columns):
        assert all(start % rule.multiple == 0 for start in side.starts)
        assert all(before + side.tile - after >= 2 * rule.context for before, after in pairwise(side.starts))
    assert np.array_equal(grid.join([doubled(tile) for tile in tiles], 2), doubled(pixels))


def test_a_picture_that_fits_is_one_tile_of_its_own_size() -> None:
    grid = TileGrid.over(picture(100, 256), RULES[0])
    assert [tile.shape for tile in grid.cut(picture(100, 256))] == [(100, 256, 3)]


@pytest.mark.parametrize("size", [(100, 400), (400, 100), (410, 390)])
def test_no_seam_shows_where_tiles_overlap_by_what_the_network_looks_at(size: tuple[int, int]) -> None:
    assert largest_difference(TileRule(16, 160, 1, reach=LOOKS), picture(*size)) == 0


def test_a_seam_shows_where_they_overlap_by_less() -> None:
    smooth = np.full((100, 400, 3), 200, np.uint8)
    assert largest_difference(TileRule(16, 160, 1, reach=LOOKS), smooth) == 0
    assert largest_difference(TileRule(16, 160, 1, reach=1), smooth) > 10


@pytest.mark.parametrize(
    "rule",
    [
        TileRule(smallest=16, largest=128, multiple=1, reach=64),
        TileRule(smallest=64, largest=32, multiple=1, reach=4),
        TileRule(smallest=16, largest=250, multiple=8, reach=4),
        TileRule(smallest=0, largest=256, multiple=1, reach=4),
    ],
)
def test_a_rule_that_leaves_no_room_is_recognised(rule: TileRule) -> None:
    assert not rule.is_possible
