"""Overlapping tiles of a picture: where they lie, and how they become one picture again without seams."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

# On either side of the middle of an overlap, one tile fades into the next over this many pixels.
_FADE = 8
# What a tile needs beside its context, so that its fades keep apart.
_LEAST_USED = 8 * _FADE


@dataclass(frozen=True, slots=True)
class TileRule:
    """What a model takes: sides from `smallest` to `largest` in steps of `multiple`; it looks `reach` pixels far."""

    smallest: int
    largest: int
    multiple: int
    reach: int

    @property
    def context(self) -> int:
        """How many pixels of a tile are only there to be looked at, on each side on which another tile follows."""
        return _up(self.reach + _FADE, self.multiple)

    @property
    def is_possible(self) -> bool:
        """Tells whether pictures of any size can be cut into such tiles."""
        return (
            0 < self.smallest <= self.largest
            and self.smallest % self.multiple == self.largest % self.multiple == 0
            and self.largest - 2 * self.context >= _LEAST_USED
        )


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a picture, padded to `length` pixels and covered by tiles of `tile` pixels that begin at `starts`."""

    length: int
    tile: int
    starts: tuple[int, ...]

    @classmethod
    def cover(cls, length: int, rule: TileRule) -> "_Side":
        """As few tiles as will do, as small as will do, all of one size and at multiples of the rule's `multiple`."""
        padded = max(_up(length, rule.multiple), rule.smallest)
        if padded <= rule.largest:
            return cls(padded, padded, (0,))
        overlap = 2 * rule.context
        count = math.ceil((padded - overlap) / (rule.largest - overlap))
        tile = max(_up(math.ceil((padded - overlap) / count) + overlap, rule.multiple), rule.smallest)
        return cls(padded, tile, tuple(min(i * (tile - overlap), padded - tile) for i in range(count)))


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles of one picture, all of one size, so that they can share a batch."""

    height: int
    width: int
    rows: _Side
    columns: _Side

    @classmethod
    def over(cls, pixels: Pixels, rule: TileRule) -> "TileGrid":
        """The grid for pixels [H,W,3]."""
        height, width, _ = pixels.shape
        return cls(height, width, _Side.cover(height, rule), _Side.cover(width, rule))

    def cut(self, pixels: Pixels) -> list[Pixels]:
        """The tiles of pixels [H,W,3], row by row; a picture that is too small for one is mirrored at its end."""
        padding = ((0, self.rows.length - self.height), (0, self.columns.length - self.width), (0, 0))
        padded = np.pad(pixels, padding, "reflect")
        return [
            padded[top : top + self.rows.tile, left : left + self.columns.tile]
            for top in self.rows.starts
            for left in self.columns.starts
        ]

    def join(self, tiles: Sequence[Pixels], factor: int) -> Pixels:
        """The picture [factor*H, factor*W, 3] of the tiles, in the order of `cut`, each enlarged by `factor`.

        Of a tile only pixels that lie the rule's `reach` or further from where it was cut are used.
        """
        across = len(self.columns.starts)
        strips = [
            _join([tile.swapaxes(0, 1) for tile in tiles[first : first + across]], self.columns, factor).swapaxes(0, 1)
            for first in range(0, len(tiles), across)
        ]
        return _join(strips, self.rows, factor)[: factor * self.height, : factor * self.width]


def _join(pieces: Sequence[Pixels], side: _Side, factor: int) -> Pixels:
    """Joins pieces along their first axis."""
    # Of the fade from each piece to the next: where it begins, in pixels of the picture.
    fades = [(before + side.tile + after) // 2 - _FADE for before, after in pairwise(side.starts)]
    begins = [0, *(fade + 2 * _FADE for fade in fades)]
    ends = [*fades, side.length]
    parts = []
    for number, (piece, start) in enumerate(zip(pieces, side.starts, strict=True)):
        if number:
            fade = slice(ends[number - 1], begins[number])
            before = _part(pieces[number - 1], side.starts[number - 1], fade, factor)
            parts.append(_faded(before, _part(piece, start, fade, factor)))
        parts.append(_part(piece, start, slice(begins[number], ends[number]), factor))
    return np.concatenate(parts)


def _part(piece: Pixels, start: int, where: slice, factor: int) -> Pixels:
    return piece[factor * (where.start - start) : factor * (where.stop - start)]


def _faded(before: Pixels, after: Pixels) -> Pixels:
    weight = ((np.arange(len(after), dtype=np.float32) + 0.5) / len(after))[:, None, None]
    return np.rint(before * (1 - weight) + after * weight).astype(np.uint8)


def _up(value: int, multiple: int) -> int:
    return math.ceil(value / multiple) * multiple
