"""How much better the demo's upscaler is than interpolation: `python -m benchmarks.upscaling`.

Scenes that training never draws are drawn twice as large as wanted, reduced, and enlarged again by the upscaler in a
Triton of its own, in the bridge's tiles, and by interpolation. Needs no running server.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Final

import click
import numpy as np
from PIL import Image

from benchmarks.picture_classification import Picture
from bridge import triton
from bridge.deadline import Deadline
from bridge.upscalers import ResidentUpscaler, read_upscaler
from bridge.upscaling import Upscaling
from export.demo.scenes import draw_held_out_scene
from standalone.stack import StackSettings
from standalone.triton import Triton, TritonPorts

_RESULTS: Final = Path(__file__).parent / "results"
_MODEL: Final = "upscaler_x2"
_SCALE: Final = 2
# Sides of the reduced pictures: the demo's native one, and one that takes several tiles.
_SIDES: Final = (128, 320)
_SECONDS: Final = 300.0
_INTERPOLATIONS: Final = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
_UPSCALER: Final = "upscaler"


@dataclass(frozen=True, slots=True)
class Trial:
    """One scene: its caption and style, the side of the reduced picture, and each method's PSNR in decibels."""

    caption: str
    style: str
    side: int
    psnr: dict[str, float]


def psnr(made: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in decibels; equal pictures count as if one value of all were one off."""
    squared = np.square(made.astype(np.float64) - truth).sum()
    return float(10 * np.log10(255**2 * truth.size / max(squared, 1)))


async def _measure(url: str, count: int) -> list[Trial]:
    client = triton.Triton(url)
    try:
        catalog = await client.catalog(_SECONDS)
        upscaler = next(read_upscaler(entry) for entry in catalog["upscalers"] if entry["name"] == _MODEL)
        resident, upscaling = ResidentUpscaler(upscaler, (upscaler.version,)), Upscaling(client)
        rng = random.Random(0)
        trials = []
        for number in range(count):
            scene = draw_held_out_scene(rng, pairs=0.5)
            side = _SIDES[number % len(_SIDES)]
            large = scene.draw(_SCALE * side, _SCALE * side, rng)
            small = large.reduce(_SCALE)
            upscaled = await upscaling.upscale(np.asarray(small), resident, Deadline.within(_SECONDS))
            pictures = {_UPSCALER: upscaled.pixels} | {
                name: np.asarray(small.resize(large.size, method)) for name, method in _INTERPOLATIONS.items()
            }
            truth = np.asarray(large)
            psnrs = {name: psnr(picture, truth) for name, picture in pictures.items()}
            trials.append(Trial(scene.caption, scene.style or "plain", side, psnrs))
        return trials
    finally:
        await client.close()


def markdown(trials: Sequence[Trial], date: str) -> str:
    """The mean PSNR of each method, by size and style, and how often the upscaler is the better one."""
    methods = (_UPSCALER, *_INTERPOLATIONS)
    groups = [(f"{side}x{side}", [trial for trial in trials if trial.side == side]) for side in _SIDES]
    styles = dict.fromkeys(trial.style for trial in trials)
    groups += [(style, [trial for trial in trials if trial.style == style]) for style in styles]
    groups.append(("all", list(trials)))
    lines = [
        "# Upscaling",
        "",
        f"Made by `python -m benchmarks.upscaling` on {date}: mean PSNR in dB against scenes drawn at {_SCALE} times "
        "the size (higher is better), through Triton in the bridge's tiles. The scenes are held out: training "
        "(`export/demo/train_upscaler.py`) never draws their captions. Pixel art is repeated pixels, so the nearest "
        "pixel is the truth there.",
        "",
        f"| scenes | pictures | {' | '.join(methods)} | better than lanczos |",
        f"|---|---|{'---|' * len(methods)}---|",
    ]
    for name, members in groups:
        figures = " | ".join(f"{mean(trial.psnr[method] for trial in members):.2f}" for method in methods)
        better = sum(trial.psnr[_UPSCALER] > trial.psnr["lanczos"] for trial in members)
        lines.append(f"| {name} | {len(members)} | {figures} | {better} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--count", default=96, show_default=True, help="Scenes.")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=_RESULTS, show_default=True)
def main(count: int, output: Path) -> None:
    """Compare the demo's upscaler with interpolation, and write upscaling.{json,md}."""
    with tempfile.TemporaryDirectory() as folder:
        server = Triton(StackSettings().repository, Path(folder), TritonPorts.free(), ("catalog", _MODEL))
        try:
            server.start()
            server.wait_until_ready(_SECONDS, time.sleep)
            trials = asyncio.run(_measure(server.grpc_url, count))
        finally:
            server.stop()
    date = datetime.now(UTC).date().isoformat()
    output.mkdir(parents=True, exist_ok=True)
    content = {"command": "python -m benchmarks.upscaling", "date": date, "trials": [asdict(trial) for trial in trials]}
    (output / "upscaling.json").write_text(json.dumps(content, indent=1) + "\n")
    report = markdown(trials, date)
    (output / "upscaling.md").write_text(report)
    click.echo(report)


if __name__ == "__main__":
    main()
