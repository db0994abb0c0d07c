"""The adherence figures as JSON, as a Markdown table and as a contact sheet."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, ImageDraw

_CAPTION_HEIGHT = 30
_CAPTION_CHARACTERS = 21


@dataclass(frozen=True, slots=True)
class Verdict:
    """One picture judged: what of its prompt is seen in its pixels."""

    group: str
    size: int
    prompt: str
    seed: int
    background: bool
    colors: bool
    position: bool
    shapes: bool
    seen: str

    @property
    def followed(self) -> bool:
        """True when background, every thing's colour at its place and the position are as asked."""
        return self.background and self.colors and self.position


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of `count` pictures show each part of their prompt."""

    group: str
    size: int
    count: int
    background: int
    colors: int
    position: int
    followed: int
    shapes: int


@dataclass(frozen=True, slots=True)
class Run:
    """How a measurement was made: the command, the server, what it says made the pictures, and the settings."""

    command: str
    model: str
    version: str
    steps: int
    guidance_scale: float
    date: str


def rates(verdicts: Sequence[Verdict]) -> list[Rate]:
    """The verdicts counted per size and group, in the order in which these first occur."""
    keys = dict.fromkeys((verdict.size, verdict.group) for verdict in verdicts)
    result = []
    for size, group in keys:
        members = [verdict for verdict in verdicts if (verdict.size, verdict.group) == (size, group)]
        result.append(
            Rate(
                group,
                size,
                len(members),
                sum(verdict.background for verdict in members),
                sum(verdict.colors for verdict in members),
                sum(verdict.position for verdict in members),
                sum(verdict.followed for verdict in members),
                sum(verdict.shapes for verdict in members),
            )
        )
    return result


def write_json(path: Path, run: Run, verdicts: Sequence[Verdict]) -> None:
    """Writes the run, its rates and every single verdict."""
    content = {
        "run": asdict(run),
        "rates": [asdict(rate) for rate in rates(verdicts)],
        "verdicts": [asdict(verdict) | {"followed": verdict.followed} for verdict in verdicts],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def write_markdown(path: Path, run: Run, verdicts: Sequence[Verdict]) -> None:
    """Writes the rates as a table, and below it the prompts that were not followed."""
    lines = [
        "# Prompt adherence",
        "",
        f"Made by `{run.command}` on {run.date}: model {run.model}, version {run.version or 'not told'}, "
        f"{run.steps} steps, guidance scale {run.guidance_scale:g}.",
        "",
        "The prompts are held out: the training recipe (`export/demo`) never draws their captions. Every figure is "
        "read from pixels. Colours count when every thing has its colour at its place; a prompt is followed when "
        "background, colours and position are right. Shapes are told apart by silhouette and do not count towards "
        "it.",
        "",
        "| size | prompts | pictures | background | colours | position | followed | shapes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rate in rates(verdicts):
        counts = (rate.background, rate.colors, rate.position, rate.followed, rate.shapes)
        shares = " | ".join(f"{count} ({100 * count / rate.count:.0f} %)" for count in counts)
        lines.append(f"| {rate.size}x{rate.size} | {rate.group} | {rate.count} | {shares} |")
    missed = [verdict for verdict in verdicts if not verdict.followed]
    if missed:
        lines += ["", "Not followed:", ""]
        lines += [
            f"- {missed.size}x{missed.size}, seed {missed.seed}: {missed.prompt} (seen: {missed.seen})"
            for missed in missed
        ]
    path.write_text("\n".join(lines) + "\n")


def contact_sheet(
    pictures: Sequence[Image.Image], verdicts: Sequence[Verdict], columns: int = 12, side: int = 128
) -> Image.Image:
    """All pictures in rows, each above its prompt; a red rule marks a prompt that was not followed."""
    rows = -(-len(pictures) // columns)
    cell = side + 4, side + _CAPTION_HEIGHT + 12
    sheet = Image.new("RGB", (columns * cell[0], rows * cell[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (picture, verdict) in enumerate(zip(pictures, verdicts, strict=True)):
        left, top = index % columns * cell[0] + 2, index // columns * cell[1] + 2
        thumbnail = picture.copy()
        thumbnail.thumbnail((side, side))
        sheet.paste(thumbnail, (left, top))
        if not verdict.followed:
            draw.rectangle((left, top + side + 1, left + side - 1, top + side + 3), fill="red")
        draw.multiline_text((left, top + side + 5), _wrapped(verdict.prompt), fill="black", font_size=9, spacing=1)
    return sheet


def _wrapped(text: str) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > _CAPTION_CHARACTERS + 4:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
