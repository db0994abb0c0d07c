"""What a picture of shapes shows, read from its pixels: background colour, colour and place of things, their shape.

Pictures are uint8 RGB arrays of shape (height, width, 3). Colours are names of `export.demo.scenes.COLORS`, told apart
by their distance in CIELAB, where equal distances look about equally different.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from export.demo.scenes import COLORS, POSITIONS, Color, PlacedThing, Style
from export.demo.shapes import SHAPES, draw_mask

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Lab = NDArray[np.float64]

_FRAME = 1 / 16
_MIN_CONTRAST = 12.0
_MIN_AREA = 0.004
_TEMPLATE_SIDE = 48


@dataclass(frozen=True, slots=True)
class Box:
    """The part of a picture that a mask covers, in pixels; right and bottom are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def center(self) -> tuple[float, float]:
        """The middle as (x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def lab(rgb: NDArray[np.uint8] | NDArray[np.float64]) -> Lab:
    """sRGB values (0 to 255, last axis RGB) as CIELAB under D65 (CIE 15:2004, IEC 61966-2-1)."""
    fraction = np.asarray(rgb, np.float64) / 255
    linear = np.where(fraction <= 0.04045, fraction / 12.92, ((fraction + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = linear @ to_xyz.T / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


_NAMES = tuple(COLORS)
_PALETTE = lab(np.array([COLORS[name] for name in _NAMES], np.float64))


def nearest_color(pixels: Lab) -> Color:
    """The palette's colour nearest to the median of some pixels, an array of shape (n, 3) in CIELAB."""
    median = np.median(pixels, axis=0)
    return _NAMES[int(np.linalg.norm(_PALETTE - median, axis=1).argmin())]


def background_color(picture: Picture) -> Color:
    """The colour of the picture's frame, a sixteenth of its shorter side wide."""
    return nearest_color(_frame(lab(picture)))


def _frame(pixels: Lab) -> Lab:
    width = max(1, round(min(pixels.shape[:2]) * _FRAME))
    inside = np.zeros(pixels.shape[:2], bool)
    inside[width:-width, width:-width] = True
    return pixels[~inside]


def _contrast(picture: Picture) -> NDArray[np.float64]:
    """Every pixel's distance from the background, in CIELAB."""
    pixels = lab(picture)
    distance: NDArray[np.float64] = np.linalg.norm(pixels - np.median(_frame(pixels), axis=0), axis=-1)
    return distance


def thing_color(picture: Picture, center: tuple[float, float], radius: float) -> Color | None:
    """The colour of what stands out from the background around a place; None where nothing does.

    `center` is in fractions of width and height, `radius` in fractions of the shorter side. Only the pixels that stand
    out most are read: a pixel of an edge mixes two colours and may look like a third one.
    """
    area = _around(picture, center, radius)
    contrast = _contrast(picture)[area]
    visible = contrast > _MIN_CONTRAST
    if visible.sum() < _MIN_AREA * picture.shape[0] * picture.shape[1]:
        return None
    threshold = 0.8 * np.percentile(contrast[visible], 90)
    return nearest_color(lab(picture)[area][contrast >= threshold])


def _around(picture: Picture, center: tuple[float, float], reach: float) -> tuple[slice, slice]:
    """Rows and columns within `reach` (a fraction of the shorter side) of a place, cut off at the picture's edges."""
    height, width = picture.shape[:2]
    x, y, distance = center[0] * width, center[1] * height, reach * min(height, width)
    return (
        slice(max(0, round(y - distance)), max(1, round(y + distance))),
        slice(max(0, round(x - distance)), max(1, round(x + distance))),
    )


def standing_out(contrast: NDArray[np.float64]) -> Mask:
    """The pixels that are not background: more than half as far from it as those that stand out most."""
    return contrast > max(_MIN_CONTRAST, 0.5 * float(np.percentile(contrast, 98)))


def bounding_box(mask: Mask) -> Box | None:
    """The box around a mask without its outermost 1 % of pixels on each side; None for too small a mask."""
    if mask.sum() < _MIN_AREA * mask.size:
        return None
    rows, columns = np.nonzero(mask)
    left, right = np.percentile(columns, [1, 99])
    top, bottom = np.percentile(rows, [1, 99])
    return Box(int(left), int(top), int(right) + 1, int(bottom) + 1)


def thing_position(picture: Picture) -> str | None:
    """Where the one thing of a picture is: the nearest key of POSITIONS ("" is the middle); None without a thing."""
    box = bounding_box(standing_out(_contrast(picture)))
    if box is None:
        return None
    height, width = picture.shape[:2]
    x, y = box.center[0] / width, box.center[1] / height
    return min(POSITIONS, key=lambda name: (POSITIONS[name][0] - x) ** 2 + (POSITIONS[name][1] - y) ** 2)


def thing_shape(picture: Picture, center: tuple[float, float], radius: float, style: Style) -> str | None:
    """The shape whose silhouette overlaps best with what stands out around a place; None where nothing does.

    Silhouettes are compared by intersection over union after both are moved and scaled to the same box. Outlines are
    filled first, so a ring's hole does not count in that style.
    """
    contrast = _contrast(picture)[_around(picture, center, 1.3 * radius)]
    # Only this thing's own contrast sets the threshold: a thing of a stronger colour may be next to it.
    mask = standing_out(contrast)
    if style == "outline":
        mask = _filled(mask)
    box = bounding_box(mask)
    if box is None:
        return None
    silhouette = _normalized(mask, box)
    overlap = {
        shape: float((silhouette & template).sum() / (silhouette | template).sum())
        for shape, template in _templates(style == "outline").items()
    }
    return max(overlap, key=lambda shape: overlap[shape])


def _filled(mask: Mask) -> Mask:
    """The mask with everything inside it: what cannot be reached from the border along background pixels."""
    outside = np.zeros(np.array(mask.shape) + 2, bool)
    outside[0, 0] = True
    free = np.pad(~mask, 1, constant_values=True)
    while True:
        spread = outside.copy()
        spread[1:] |= outside[:-1]
        spread[:-1] |= outside[1:]
        spread[:, 1:] |= outside[:, :-1]
        spread[:, :-1] |= outside[:, 1:]
        spread &= free
        if (spread == outside).all():
            return ~outside[1:-1, 1:-1]
        outside = spread


def _normalized(mask: Mask, box: Box) -> Mask:
    """What is inside the box, scaled with its proportions and centred in a square of _TEMPLATE_SIDE pixels."""
    inside = Image.fromarray(mask[box.top : box.bottom, box.left : box.right].astype(np.uint8) * 255)
    scale = _TEMPLATE_SIDE / max(inside.size)
    size = max(1, round(inside.width * scale)), max(1, round(inside.height * scale))
    square = Image.new("L", (_TEMPLATE_SIDE, _TEMPLATE_SIDE), 0)
    corner = (_TEMPLATE_SIDE - size[0]) // 2, (_TEMPLATE_SIDE - size[1]) // 2
    square.paste(inside.resize(size, Image.Resampling.BILINEAR), corner)
    return np.asarray(square) > 127


@cache
def _templates(filled: bool) -> dict[str, Mask]:
    templates: dict[str, Mask] = {}
    for shape in SHAPES:
        mask = np.asarray(draw_mask((256, 256), shape, (128, 128), 96)) > 127
        box = bounding_box(mask)
        if box is not None:
            templates[shape] = _normalized(_filled(mask) if filled else mask, box)
    return templates


@dataclass(frozen=True, slots=True)
class Seen:
    """What a picture shows of one thing that its prompt asks for; None where nothing stands out."""

    color: Color | None
    shape: str | None


def see(picture: Picture, placed: PlacedThing, style: Style) -> Seen:
    """What is at the place of one thing of a scene."""
    return Seen(
        thing_color(picture, placed.center, placed.radius),
        thing_shape(picture, placed.center, placed.radius, style),
    )
