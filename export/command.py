"""The shell command around `family.export_family`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from export.errors import ExportError
from export.family import export_family
from export.json_text import json_text
from export.options import (
    DEFAULT_GUIDANCE_SCALE,
    DEFAULT_STEPS,
    MAX_GUIDANCE_SCALE,
    MAX_STEPS,
    ExportOptions,
    SizePolicy,
)
from export.precision import Precision
from export.progress import TerminalProgress
from export.target import Target


@click.command()
@click.argument("checkpoint")
@click.option("--name", required=True, help="Name of the family; its models' names begin with it.")
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("model_repository"),
    show_default=True,
    help="Model repository that Triton serves; made where it does not exist.",
)
@click.option("--display-name", help="The family's name for people.  [default: NAME]")
@click.option("--description", default="", help="What the family paints, in a sentence.")
@click.option("--source", help="Where the weights come from.  [default: Hub id or folder name]")
@click.option("--alias", "aliases", multiple=True, help="Another model name that means this family; may be repeated.")
@click.option(
    "--default-steps",
    type=click.IntRange(1, MAX_STEPS),
    default=DEFAULT_STEPS,
    show_default=True,
)
@click.option(
    "--default-guidance-scale",
    type=click.FloatRange(0, MAX_GUIDANCE_SCALE),
    default=DEFAULT_GUIDANCE_SCALE,
    show_default=True,
)
@click.option(
    "--size-policy",
    type=click.Choice([policy.value for policy in SizePolicy]),
    default=SizePolicy.EXACT.value,
    show_default=True,
    help="Sizes the family can't make: 'fit' resizes the nearest it can, 'exact' refuses.",
)
@click.option(
    "--precision",
    type=click.Choice([precision.value for precision in Precision]),
    help="What the graphs compute in; fp16 is for GPUs.  [default: fp16 for tensorrt, else fp32]",
)
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    default=Target.CPU.value,
    show_default=True,
    help="What the family will run on.",
)
@click.option(
    "--quality/--no-quality", default=True, show_default=True, help="Paint fixed prompts and compare with torch."
)
@click.option("--json", "as_json", is_flag=True, help="Write the result, or the error, as JSON to standard output.")
def export(
    checkpoint: str,
    name: str,
    repository: Path,
    display_name: str | None,
    description: str,
    source: str | None,
    aliases: tuple[str, ...],
    default_steps: int,
    default_guidance_scale: float,
    size_policy: str,
    precision: str | None,
    target: str,
    quality: bool,
    as_json: bool,
) -> None:
    """Export CHECKPOINT, a diffusers folder or Hugging Face id, as a family of Triton models."""
    options = ExportOptions(
        checkpoint=checkpoint,
        name=name,
        repository=repository,
        display_name=display_name,
        description=description,
        source=source,
        aliases=aliases,
        default_steps=default_steps,
        default_guidance_scale=default_guidance_scale,
        size_policy=SizePolicy(size_policy),
        precision=Precision(precision or (Precision.FP16 if target == Target.TENSORRT else Precision.FP32)),
        target=Target(target),
        quality=quality,
    )
    progress = TerminalProgress()
    try:
        report = export_family(options, progress.say, progress.bar)
    except ExportError as error:
        if as_json:
            click.echo(json_text({"error": str(error), "kind": type(error).__name__}))
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json_text(asdict(report)))
