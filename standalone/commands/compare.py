"""`starweave models compare`."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import grpc
from rich.console import Console
from rich.table import Table

from protos import image_insight_pb2, starweave_pb2
from standalone.client import DEFAULT_ADDRESS, WITHOUT_LIBRARY, connect, explain, image_service, insight_service
from standalone.contact_sheet import write_contact_sheet
from standalone.size import Size


@dataclass(slots=True)
class _Column:
    """What one model made of the prompts and seeds; an empty picture is one that failed."""

    model: str
    pictures: list[bytes] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@click.command()
@click.argument("models", nargs=-1)
@click.option("--prompt", "prompts", multiple=True, required=True, help="May be given several times.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(1, 2), show_default=True, help="Likewise.")
@click.option("--steps", type=int, help="Denoising steps.  [default: each model's own]")
@click.option("--size", type=Size(), help="Size in pixels, such as 512x512.  [default: each model's own]")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("comparison.png"))
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
def compare(
    models: tuple[str, ...],
    prompts: tuple[str, ...],
    seeds: tuple[int, ...],
    steps: int | None,
    size: tuple[int, int] | None,
    output: Path,
    address: str,
) -> None:
    """Make the same pictures with each of MODELS, by default all: a contact sheet, how long each took, and how users
    have rated it.

    They are made one after the other, and made anew: nothing is answered from the library.
    """
    width, height = size or (None, None)
    cases = [(prompt, seed) for prompt in prompts for seed in seeds]
    with connect(address) as channel:
        try:
            columns = [_Column(model) for model in models or _ready(channel)]
            for prompt, seed in cases:
                for column in columns:
                    settings = starweave_pb2.ImageSettings(seed=seed, steps=steps, width=width, height=height)
                    _make(channel, starweave_pb2.ImageRequest(prompt=prompt, settings=settings), column)
            ratings = _ratings(channel)
        except grpc.RpcError as error:
            raise explain(error, address) from error
    rows = [f"{prompt} (seed {seed})" for prompt, seed in cases]
    pictures = [[column.pictures[row] for column in columns] for row in range(len(rows))]
    write_contact_sheet(output, [column.model for column in columns], rows, pictures)
    table = Table("Model", "Pictures", "Median time", "Longest", "Rating", "Failed")
    for column in columns:
        times = (f"{f(column.seconds):.2f} s" if column.seconds else "" for f in (statistics.median, max))
        failed = str(len(column.errors)) if column.errors else ""
        table.add_row(column.model, str(len(column.seconds)), *times, ratings.get(column.model, ""), failed)
    Console().print(table)
    for column in columns:
        for problem in dict.fromkeys(column.errors):
            click.echo(f"{column.model}: {problem}")
    click.echo(f"The pictures are in {output}.")


def _ready(channel: grpc.Channel) -> list[str]:
    listed = image_service(channel).GetImageModels(starweave_pb2.ModelRequest(), timeout=30).models
    return [model.id for model in listed if model.parameters["status"] == "ready"]


def _make(channel: grpc.Channel, request: starweave_pb2.ImageRequest, column: _Column) -> None:
    request.model = column.model
    started = time.monotonic()
    response = image_service(channel).GenerateImage(request, metadata=WITHOUT_LIBRARY)
    elapsed = time.monotonic() - started
    made_by = response.metadata.model
    if response.error:
        column.errors.append(response.error)
    elif made_by != column.model and "fallback" in response.metadata.debug_info:
        # Another model's picture would be compared with itself.
        column.errors.append(f"{made_by} stood in for it.")
    else:
        column.seconds.append(elapsed)
        column.pictures.append(response.image_data)
        return
    column.pictures.append(b"")


def _ratings(channel: grpc.Channel) -> dict[str, str]:
    """What users have rated each model; nothing where the server keeps no library."""
    request = image_insight_pb2.UsageRequest(by=image_insight_pb2.UsageRequest.MODEL, limit=1000)
    try:
        uses = insight_service(channel).GetUsage(request, timeout=30).uses
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE):
            return {}
        raise
    return {use.name: f"{use.mean_rating:.2f} of {use.rated}" for use in uses if use.rated}
