"""The ten shapes, each drawn as a mask."""

import math

from PIL import Image, ImageDraw

SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "heart",
    "ring",
    "cross",
    "diamond",
    "moon",
    "flower",
)
Point = tuple[float, float]


def draw_mask(canvas: tuple[int, int], shape: str, center: Point, radius: float) -> Image.Image:
    """A mask (mode L, 0 outside, 255 inside) of `canvas` (width, height) pixels holding one shape.

    `center` and `radius` are in pixels. Raises ValueError for a name that is not in SHAPES.
    """
    mask = Image.new("L", canvas, 0)
    draw = ImageDraw.Draw(mask)
    x, y = center
    match shape:
        case "circle":
            _disc(draw, center, radius)
        case "square":
            _box(draw, center, radius * 0.86, radius * 0.86)
        case "triangle":
            draw.polygon(_regular(3, (x, y + radius * 0.18), radius * 1.12), fill=255)
        case "star":
            draw.polygon(_star(5, center, radius * 1.1, inner=0.42), fill=255)
        case "heart":
            draw.polygon(_heart(center, radius), fill=255)
        case "ring":
            _disc(draw, center, radius)
            _disc(draw, center, radius * 0.55, fill=0)
        case "cross":
            _box(draw, center, radius, radius * 0.34)
            _box(draw, center, radius * 0.34, radius)
        case "diamond":
            tall, wide = radius * 1.12, radius * 0.8
            draw.polygon([(x, y - tall), (x + wide, y), (x, y + tall), (x - wide, y)], fill=255)
        case "moon":
            _disc(draw, center, radius)
            _disc(draw, (x + radius * 0.5, y - radius * 0.125), radius * 0.88, fill=0)
        case "flower":
            for petal in range(6):
                angle = math.tau * petal / 6
                middle = (x + radius * 0.62 * math.cos(angle), y + radius * 0.62 * math.sin(angle))
                _disc(draw, middle, radius * 0.38)
            _disc(draw, center, radius * 0.36)
        case _:
            raise ValueError(f"There is no shape {shape!r}; the shapes are {', '.join(SHAPES)}.")
    return mask


def _disc(draw: ImageDraw.ImageDraw, center: Point, radius: float, fill: int = 255) -> None:
    x, y = center
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _box(draw: ImageDraw.ImageDraw, center: Point, half_width: float, half_height: float) -> None:
    x, y = center
    draw.rectangle((x - half_width, y - half_height, x + half_width, y + half_height), fill=255)


def _regular(corners: int, center: Point, radius: float) -> list[Point]:
    """A regular polygon that stands on its base, its first corner on top."""
    angles = [math.tau * corner / corners - math.pi / 2 for corner in range(corners)]
    return [(center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)) for angle in angles]


def _star(points: int, center: Point, radius: float, inner: float) -> list[Point]:
    """A star: the corners of a regular polygon, every second one drawn in to `inner` times the radius."""
    corners = _regular(2 * points, center, radius)
    return [
        corner
        if index % 2 == 0
        else (center[0] + (corner[0] - center[0]) * inner, center[1] + (corner[1] - center[1]) * inner)
        for index, corner in enumerate(corners)
    ]


def _heart(center: Point, radius: float) -> list[Point]:
    """The heart curve x = 16 sin^3 t, y = 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, scaled to the radius."""
    points = []
    for step in range(80):
        t = math.tau * step / 80
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((center[0] + radius * 1.08 * x / 17, center[1] - radius * 1.08 * y / 17))
    return points
