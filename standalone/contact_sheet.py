"""A contact sheet: pictures in rows and columns, each row and column with its name."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from standalone.errors import GenerationFailed

_CELL = 192
_GAP = 8
_HEADER = 24
_LABEL = 200


def write_contact_sheet(
    path: Path, columns: Sequence[str], rows: Sequence[str], pictures: Sequence[Sequence[bytes]]
) -> None:
    """Writes a PNG file with one row of encoded pictures for each name in `rows`; an empty one leaves its cell empty.

    Raises GenerationFailed where the file cannot be written.
    """
    width = _LABEL + len(columns) * (_CELL + _GAP) + _GAP
    height = _HEADER + len(rows) * (_CELL + _GAP) + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for column, name in enumerate(columns):
        draw.text((_LABEL + _GAP + column * (_CELL + _GAP), 4), _shortened(name, 26), "black", font)
    for row, (name, line) in enumerate(zip(rows, pictures, strict=True)):
        top = _HEADER + _GAP + row * (_CELL + _GAP)
        draw.multiline_text((_GAP, top), _wrapped(name), "black", font)
        for column, data in enumerate(line):
            if data:
                picture = Image.open(io.BytesIO(data)).convert("RGB")
                picture.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
                sheet.paste(picture, (_LABEL + _GAP + column * (_CELL + _GAP), top))
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise GenerationFailed(f"The contact sheet {path} cannot be written: {error.strerror}.") from error


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}\u2026"


def _wrapped(text: str) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > 24 and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(_shortened(line, 26) for line in lines[:11])
