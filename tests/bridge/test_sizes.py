"""Wanted sizes are fitted into what a family can make, or refused."""

from itertools import product

import pytest

from bridge.sizes import Size, SizePolicy, SizeRange

FIT = SizeRange(64, 256, 32, SizePolicy.FIT)
EXACT = SizeRange(256, 1024, 64, SizePolicy.EXACT)


@pytest.mark.parametrize(
    ("wanted", "generated"),
    [
        ((128, 128), (128, 128)),
        ((256, 64), (256, 64)),
        ((512, 512), (256, 256)),
        ((512, 384), (256, 192)),
        ((1024, 1024), (256, 256)),
        ((500, 300), (256, 160)),
        ((100, 100), (96, 96)),
        ((130, 100), (128, 96)),
        ((32, 32), (64, 64)),
        ((16, 2048), (64, 256)),
        ((2048, 16), (256, 64)),
        ((40, 80), (64, 128)),
    ],
)
def test_the_nearest_size_keeps_the_ratio(wanted: tuple[int, int], generated: tuple[int, int]) -> None:
    assert FIT.nearest(Size(*wanted)) == Size(*generated)


def test_every_nearest_size_can_be_made() -> None:
    for width, height in product(range(16, 2049, 61), repeat=2):
        size = FIT.nearest(Size(width, height))
        for side in (size.width, size.height):
            assert 64 <= side <= 256 and side % 32 == 0


def test_a_range_that_is_no_multiple_stays_inside_of_itself() -> None:
    odd = SizeRange(70, 250, 32, SizePolicy.FIT)
    assert odd.nearest(Size(16, 16)) == Size(96, 96)
    assert odd.nearest(Size(2048, 2048)) == Size(224, 224)


def test_every_exact_size_is_its_own_nearest() -> None:
    sides = range(256, 1025, 64)
    for width, height in product(sides, sides):
        assert EXACT.nearest(Size(width, height)) == Size(width, height)


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_exact_allows_what_can_be_made(side: int) -> None:
    assert EXACT.problem("width", side) is None


@pytest.mark.parametrize("side", [-1, 0, 192, 300, 1088])
def test_exact_refuses_everything_else(side: int) -> None:
    assert EXACT.problem("width", side) == (f"width is {side}; it must be a multiple of 64 from 256 to 1024.")


@pytest.mark.parametrize("side", [-5, 0, 15, 2049])
def test_fit_has_bounds_too(side: int) -> None:
    assert FIT.problem("height", side) == f"height is {side}; it must be from 16 to 2048."


@pytest.mark.parametrize("size", [Size(16, 2048), Size(300, 200), Size(64, 64)])
def test_an_init_images_own_size_is_kept_where_it_fits(size: Size) -> None:
    assert FIT.own_size(size) == size


@pytest.mark.parametrize(
    ("size", "own"),
    [(Size(4096, 1024), Size(2048, 512)), (Size(10, 20), Size(16, 32)), (Size(1, 9999), Size(16, 2048))],
)
def test_another_is_scaled_into_the_range(size: Size, own: Size) -> None:
    assert FIT.own_size(size) == own


@pytest.mark.parametrize("size", [Size(1000, 700), Size(1, 1), Size(9999, 40)])
def test_where_sizes_are_exact_it_is_one_that_can_be_made(size: Size) -> None:
    own = EXACT.own_size(size)
    assert EXACT.problem("width", own.width) is EXACT.problem("height", own.height) is None
