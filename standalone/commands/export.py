"""`starweave export` and `starweave export-upscaler`: hand over to the `export` package.

The serving environment lacks what that needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from standalone.errors import ExportUnavailable

# What comes behind the command's name is the package's to read.
_ALL_ARGUMENTS = {"ignore_unknown_options": True, "help_option_names": []}


@click.command(
    context_settings=_ALL_ARGUMENTS,
    short_help="Make a family of models from a diffusers checkpoint.",
    options_metavar="CHECKPOINT --name NAME [OPTIONS]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def export(arguments: tuple[str, ...]) -> None:
    """Make a family of models from a diffusers checkpoint; `--help` lists the options."""
    with _packages():
        # Imported when asked for: it needs torch and diffusers, which serving does not.
        from export.command import export as export_checkpoint

        export_checkpoint.main(list(arguments), prog_name="starweave export")


@click.command(
    "export-upscaler",
    context_settings=_ALL_ARGUMENTS,
    short_help="Make an upscaling model from a super-resolution checkpoint.",
    options_metavar="CHECKPOINT [OPTIONS]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def export_upscaler(arguments: tuple[str, ...]) -> None:
    """Make an upscaling model from a super-resolution checkpoint; `--help` lists the options."""
    with _packages():
        from export.upscaler_command import upscaler_command

        upscaler_command.main(list(arguments), prog_name="starweave export-upscaler")


@contextmanager
def _packages() -> Iterator[None]:
    """Says what to install where a package is absent."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExportUnavailable(
            f"Exporting needs packages that are not installed ({error.name}): run `pip install -e .[serve,export]`."
        ) from error
