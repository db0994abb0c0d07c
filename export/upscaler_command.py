"""The shell command around `upscaler.export_upscaler`."""

from __future__ import annotations

from pathlib import Path

import click

from export.errors import ExportError
from export.upscaler import export_upscaler


@click.command("export-upscaler")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--repository",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("model_repository"),
    show_default=True,
    help="Model repository that Triton serves; made where it does not exist.",
)
def upscaler_command(checkpoint: Path, repository: Path) -> None:
    """Export CHECKPOINT, a super-resolution network's .safetensors or .pth file, as a Triton model.

    Any architecture that spandrel knows will do. The model is named after the factor that it enlarges pictures by, such
    as upscaler_x2, and replaces one of that factor as its next version.
    """
    try:
        export_upscaler(checkpoint, repository, click.echo)
    except ExportError as error:
        raise click.ClickException(str(error)) from error
