"""Pictures side by side, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from export.similarity import Picture

_MARGIN: Final = 12
_LINE: Final = 18


@dataclass(frozen=True, slots=True)
class Pair:
    """A reference picture, the one to compare with it, both [H, W, 3], and what is written above them."""

    caption: str
    reference: Picture
    exported: Picture


def write_contact_sheet(pairs: Sequence[Pair], file: Path) -> None:
    """Writes a PNG with a row for each pair, reference left, exported right; all pictures have one size."""
    height, width = pairs[0].reference.shape[:2]
    row = height + _LINE + _MARGIN
    font = ImageFont.load_default(12)
    captions = max(int(font.getlength(pair.caption)) for pair in pairs)
    size = (max(2 * width + 3 * _MARGIN, captions + 2 * _MARGIN), len(pairs) * row + _LINE + 2 * _MARGIN)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    right = width + 2 * _MARGIN
    draw.text((_MARGIN, _MARGIN), "torch", "black", font)
    draw.text((right, _MARGIN), "exported", "black", font)
    for index, pair in enumerate(pairs):
        top = 2 * _MARGIN + _LINE + index * row
        draw.text((_MARGIN, top), pair.caption, "black", font)
        sheet.paste(Image.fromarray(pair.reference), (_MARGIN, top + _LINE))
        sheet.paste(Image.fromarray(pair.exported), (right, top + _LINE))
    sheet.save(file, optimize=True)
