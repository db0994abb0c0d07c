"""How well pictures follow their prompts: `python -m benchmarks.adherence --address localhost:50051`.

Asks a running server for pictures of held-out prompts (captions that the demo's training recipe never draws), one seed
per prompt, and reads from the pixels whether background, colours and places are as asked.
"""

import io
import random
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import grpc
import numpy as np
from PIL import Image

from benchmarks.adherence_report import Run, Verdict, contact_sheet, rates, write_json, write_markdown
from benchmarks.picture_classification import background_color, see, thing_position
from export.demo.scenes import Scene, random_scene
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.client import connect, explain, image_service

RESULTS = Path(__file__).parent / "results"
# Captions that the rule for held-out ones would give, but that the committed weights' first rounds of training drew:
# those were made before there was a rule.
_DRAWN_BEFORE = frozenset((Path(__file__).parent / "inputs" / "drawn_before.txt").read_text().splitlines())
_PROMPT_SEED = 2026
_CALL_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Task:
    """One prompt to try: the scene that it describes, the group it is counted in and its seed."""

    scene: Scene
    group: str
    seed: int


class PictureRefused(Exception):
    """The server answered with an error instead of a picture; the message is the server's."""


def held_out_tasks(singles: int, pairs: int, styled: int) -> list[Task]:
    """Scenes never drawn in training, always the same: plain singles, plain pairs of two colours, styled singles.

    Every scene names its background, and no caption occurs twice.
    """
    rng = random.Random(_PROMPT_SEED)
    wanted = {"singles": singles, "pairs": pairs, "styled": styled}
    found: dict[str, list[Scene]] = {group: [] for group in wanted}
    captions: set[str] = set()
    while any(len(found[group]) < count for group, count in wanted.items()):
        scene = random_scene(rng, pairs=0.5)
        group = _group(scene)
        if group is None or len(found[group]) >= wanted[group] or scene.caption in captions:
            continue
        captions.add(scene.caption)
        found[group].append(scene)
    scenes = [(scene, group) for group in wanted for scene in found[group]]
    return [Task(scene, group, 1000 + index) for index, (scene, group) in enumerate(scenes)]


def _group(scene: Scene) -> str | None:
    """The group a scene is counted in; None for one that is drawn in training or cannot be judged."""
    if not scene.held_out or scene.caption in _DRAWN_BEFORE or not scene.names_background:
        return None
    if len(scene.things) == 1:
        return "styled" if scene.style else "singles"
    # With one colour for both things a picture with swapped colours would pass.
    one_color = scene.things[0].color == scene.things[1].color
    return None if scene.style or one_color else "pairs"


def judge(picture: Image.Image, task: Task, size: int) -> Verdict:
    """What of a task's prompt the picture shows."""
    pixels = np.asarray(picture.convert("RGB"))
    scene = task.scene
    background = background_color(pixels)
    seen = [see(pixels, placed, scene.style) for placed in scene.placed]
    position = thing_position(pixels) if len(scene.things) == 1 else scene.position
    return Verdict(
        group=task.group,
        size=size,
        prompt=scene.caption,
        seed=task.seed,
        background=background == scene.background,
        colors=all(one.color == thing.color for one, thing in zip(seen, scene.things, strict=True)),
        position=position == scene.position,
        shapes=all(one.shape == thing.shape for one, thing in zip(seen, scene.things, strict=True)),
        seen=", ".join(f"{one.color} {one.shape}" for one in seen) + f" on {background}",
    )


def generate(
    stub: starweave_pb2_grpc.ImageGenerationServiceStub,
    model: str,
    task: Task,
    size: int,
    steps: int,
    guidance_scale: float,
) -> tuple[Image.Image, starweave_pb2.GenerationMetadata]:
    """One picture from the server. Raises PictureRefused with the server's sentence, or grpc.RpcError."""
    settings = starweave_pb2.ImageSettings(
        width=size, height=size, steps=steps, guidance_scale=guidance_scale, seed=task.seed
    )
    request = starweave_pb2.ImageRequest(prompt=task.scene.caption, model=model, settings=settings)
    response = stub.GenerateImage(request, timeout=_CALL_TIMEOUT_S)
    if response.error:
        raise PictureRefused(response.error)
    return Image.open(io.BytesIO(response.image_data)), response.metadata


@click.command()
@click.option("--address", default="localhost:50051", show_default=True, help="The image server's address.")
@click.option("--model", default="demo", show_default=True, help="A model trained by export/demo.")
@click.option(
    "--size", "sizes", type=int, multiple=True, default=(128,), show_default=True, help="Pixels; may be repeated."
)
@click.option("--singles", default=48, show_default=True, help="Prompts with one thing.")
@click.option("--pairs", default=48, show_default=True, help="Prompts with two things.")
@click.option("--styled", default=24, show_default=True, help="Prompts with one thing in a style.")
@click.option("--steps", default=20, show_default=True)
@click.option("--guidance-scale", default=5.0, show_default=True)
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=RESULTS, show_default=False)
def main(
    address: str,
    model: str,
    sizes: Sequence[int],
    singles: int,
    pairs: int,
    styled: int,
    steps: int,
    guidance_scale: float,
    output: Path,
) -> None:
    """Measures prompt adherence through a running server; writes adherence.json, .md and .png."""
    tasks = held_out_tasks(singles, pairs, styled)
    verdicts: list[Verdict] = []
    pictures: list[Image.Image] = []
    metadata = starweave_pb2.GenerationMetadata()
    with connect(address) as channel:
        stub = image_service(channel)
        for size in sizes:
            with click.progressbar(tasks, label=f"{size}x{size}") as progress:
                for task in progress:
                    try:
                        picture, metadata = generate(stub, model, task, size, steps, guidance_scale)
                    except PictureRefused as failure:
                        raise click.ClickException(f"{task.scene.caption!r} failed: {failure}") from failure
                    except grpc.RpcError as failure:
                        raise explain(failure, address) from failure
                    pictures.append(picture)
                    verdicts.append(judge(picture, task, size))
    run = Run(
        command=shlex.join(["python", "-m", "benchmarks.adherence", *sys.argv[1:]]),
        model=metadata.model,
        version=metadata.debug_info.get("version", ""),
        steps=steps,
        guidance_scale=guidance_scale,
        date=datetime.now(UTC).date().isoformat(),
    )
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "adherence.json", run, verdicts)
    write_markdown(output / "adherence.md", run, verdicts)
    contact_sheet(pictures, verdicts).save(output / "adherence.png")
    for rate in rates(verdicts):
        click.echo(f"{rate.size}x{rate.size} {rate.group}: {rate.followed} of {rate.count} prompts followed")


if __name__ == "__main__":
    main()
