"""`starweave export`: hands over to the `export` package, whose dependencies the serving environment lacks."""

from __future__ import annotations

import click

from standalone.errors import ExportUnavailable


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Make a family of models from a diffusers checkpoint.",
    options_metavar="CHECKPOINT --name NAME [OPTIONS]",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def export(arguments: tuple[str, ...]) -> None:
    """Make a family of models from a diffusers checkpoint; `--help` lists the options."""
    try:
        # Imported when asked for: it needs torch and diffusers, which serving does not.
        from export.command import export as export_checkpoint

        export_checkpoint.main(list(arguments), prog_name="starweave export")
    except ModuleNotFoundError as error:
        raise ExportUnavailable(
            f"Exporting needs packages that are not installed ({error.name}): run `pip install -e .[serve,export]`."
        ) from error
