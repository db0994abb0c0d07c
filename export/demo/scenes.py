"""Captioned scenes: what the demo checkpoint learns from, and the truth its pictures are judged by.

A scene is one or two coloured shapes on a coloured background. Its caption, its picture and the colours to expect
at given places all come from the same value object, so that training and `benchmarks.adherence` cannot disagree.
"""

import random
import zlib
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageFilter

from export.demo.shapes import SHAPES, draw_mask

Color = str
RGB = tuple[int, int, int]
Style = Literal["", "outline", "pixel art", "soft"]

COLORS: dict[Color, RGB] = {
    "red": (214, 40, 40),
    "orange": (247, 127, 0),
    "yellow": (252, 211, 60),
    "green": (56, 142, 60),
    "blue": (33, 99, 214),
    "purple": (123, 44, 191),
    "pink": (244, 143, 177),
    "brown": (121, 85, 72),
    "white": (250, 250, 250),
    "black": (24, 24, 24),
    "gray": (140, 140, 140),
    "teal": (0, 150, 136),
}
STYLES: tuple[Style, ...] = ("", "outline", "pixel art", "soft")

# Radii and centres are fractions: radii of the shorter side, centres of width and height.
SIZES: dict[str, float] = {"small": 0.17, "": 0.27, "large": 0.38}
PAIR_RADIUS = 0.19
POSITIONS: dict[str, tuple[float, float]] = {
    "": (0.5, 0.5),
    "on the left": (0.27, 0.5),
    "on the right": (0.73, 0.5),
    "at the top": (0.5, 0.27),
    "at the bottom": (0.5, 0.73),
}
RELATIONS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "left of": ((0.28, 0.5), (0.72, 0.5)),
    "right of": ((0.72, 0.5), (0.28, 0.5)),
    "above": ((0.5, 0.28), (0.5, 0.72)),
    "below": ((0.5, 0.72), (0.5, 0.28)),
    "and": ((0.28, 0.5), (0.72, 0.5)),
}

_JITTER = 0.015
_SUPERSAMPLING = 2
_PIXEL_ART_BLOCK = 16
_OUTLINE_WIDTH = 0.035
_SOFT_RADIUS = 0.035


@dataclass(frozen=True, slots=True)
class Thing:
    """One coloured shape, as the caption names it."""

    color: Color
    shape: str


@dataclass(frozen=True, slots=True)
class PlacedThing:
    """A thing with its centre (fractions of width and height) and radius (fraction of the shorter side)."""

    thing: Thing
    center: tuple[float, float]
    radius: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One or two things on a background.

    `relation` is a key of RELATIONS for two things, "" for one; `position` a key of POSITIONS and `size` a key of
    SIZES, both "" for two. `names_background` is False for the few captions that leave the background open.
    """

    background: Color
    things: tuple[Thing, ...]
    relation: str = ""
    position: str = ""
    size: str = ""
    style: Style = ""
    names_background: bool = True

    @property
    def caption(self) -> str:
        """The prompt that describes this scene, such as "a red circle above a blue star on a pink background"."""
        first = self.things[0]
        if len(self.things) == 2:
            second = self.things[1]
            words = f"a {first.color} {first.shape} {self.relation} a {second.color} {second.shape}"
        else:
            parts = ("a", self.size, first.color, first.shape, self.position)
            words = " ".join(part for part in parts if part)
        background = f" on a {self.background} background" if self.names_background else ""
        style = f", {self.style}" if self.style else ""
        return words + background + style

    @property
    def held_out(self) -> bool:
        """True for the tenth of all captions that training never draws (CRC-32 of the caption divides by ten)."""
        return zlib.crc32(self.caption.encode()) % 10 == 0

    @property
    def placed(self) -> tuple[PlacedThing, ...]:
        """Every thing with the place and size that the caption asks for, without jitter."""
        if len(self.things) == 2:
            centers = RELATIONS[self.relation]
            return tuple(
                PlacedThing(thing, center, PAIR_RADIUS) for thing, center in zip(self.things, centers, strict=True)
            )
        return (PlacedThing(self.things[0], POSITIONS[self.position], SIZES[self.size]),)

    def with_colors_swapped(self) -> "Scene":
        """The same two things at the same places with each other's colour; needs a scene of two things."""
        first, second = self.things
        swapped = (Thing(second.color, first.shape), Thing(first.color, second.shape))
        return Scene(
            self.background,
            swapped,
            self.relation,
            self.position,
            self.size,
            self.style,
            self.names_background,
        )

    def draw(self, width: int, height: int, rng: random.Random) -> Image.Image:
        """The picture as RGB; `rng` moves and scales every thing a little, so that no two drawings are equal."""
        canvas = (width * _SUPERSAMPLING, height * _SUPERSAMPLING)
        side = min(canvas)
        image = Image.new("RGB", canvas, COLORS[self.background])
        for placed in self.placed:
            x = (placed.center[0] + rng.uniform(-_JITTER, _JITTER)) * canvas[0]
            y = (placed.center[1] + rng.uniform(-_JITTER, _JITTER)) * canvas[1]
            radius = placed.radius * side * rng.uniform(0.95, 1.05)
            mask = draw_mask(canvas, placed.thing.shape, (x, y), radius)
            if self.style == "outline":
                mask = _outline(mask, max(3, int(side * _OUTLINE_WIDTH)) | 1)
            image.paste(COLORS[placed.thing.color], (0, 0), mask)
        image = image.resize((width, height), Image.Resampling.BOX)
        if self.style == "pixel art":
            blocks = (width // _PIXEL_ART_BLOCK, height // _PIXEL_ART_BLOCK)
            image = image.resize(blocks, Image.Resampling.BOX)
            return image.resize((width, height), Image.Resampling.NEAREST)
        if self.style == "soft":
            return image.filter(ImageFilter.GaussianBlur(min(width, height) * _SOFT_RADIUS))
        return image


def _outline(mask: Image.Image, width: int) -> Image.Image:
    """The rim of a mask, `width` pixels (odd) wide: the mask without its erosion."""
    box = mask.getbbox()
    if box is None:
        return mask
    # Eroding only the shape's own box is several times quicker than eroding the canvas.
    margin = width
    area = (
        max(0, box[0] - margin),
        max(0, box[1] - margin),
        min(mask.width, box[2] + margin),
        min(mask.height, box[3] + margin),
    )
    shape = mask.crop(area)
    inner = shape.filter(ImageFilter.MinFilter(width // 2 * 2 + 1))
    rim = mask.copy()
    rim.paste(0, area, inner)
    return rim


def draw_scene(rng: random.Random, pairs: float) -> Scene:
    """A random scene that is not held out; `pairs` is the share of scenes with two things (0 to 1)."""
    while True:
        scene = random_scene(rng, pairs)
        if not scene.held_out:
            return scene


def draw_held_out_scene(rng: random.Random, pairs: float) -> Scene:
    """A random scene whose caption training never draws."""
    while True:
        scene = random_scene(rng, pairs)
        if scene.held_out:
            return scene


def random_scene(rng: random.Random, pairs: float) -> Scene:
    """A random scene, held out or not. Things never have the background's colour; two things rarely share one."""
    background = rng.choice(list(COLORS))
    style = rng.choices(STYLES, weights=[7, 1, 1, 1])[0]
    colors = [color for color in COLORS if color != background]
    names_background = rng.random() < 0.95
    if rng.random() < pairs:
        first, second = rng.sample(colors, 2)
        if rng.random() < 0.07:
            second = first
        return Scene(
            background,
            (Thing(first, rng.choice(SHAPES)), Thing(second, rng.choice(SHAPES))),
            relation=rng.choice(list(RELATIONS)),
            style=style,
            names_background=names_background,
        )
    size = rng.choices(list(SIZES), weights=[1, 3, 1])[0]
    # A large shape fills the picture: it has no room to be anywhere but in the middle.
    position = "" if size == "large" else rng.choices(list(POSITIONS), weights=[4, 1, 1, 1, 1])[0]
    return Scene(
        background,
        (Thing(rng.choice(colors), rng.choice(SHAPES)),),
        position=position,
        size=size,
        style=style,
        names_background=names_background,
    )
