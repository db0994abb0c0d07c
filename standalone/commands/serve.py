"""`starweave serve`."""

from __future__ import annotations

from pathlib import Path

import click

from standalone.errors import Interrupted
from standalone.stack import DEFAULT_LIBRARY, Stack, StackSettings
from standalone.status import Status
from standalone.stop_signals import StopSignals
from standalone.supervisor import supervise

DEFAULTS = StackSettings()


@click.command()
@click.option("--host", default=DEFAULTS.host, show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=DEFAULTS.port, show_default=True, help="Port; a free one is used if it is taken.")
@click.option(
    "--repository",
    type=click.Path(path_type=Path),
    default=DEFAULTS.repository,
    help="Model repository.  [default: model_repository]",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=DEFAULTS.folder,
    help="Folder for logs and links; one stack each.  [default: out/standalone]",
)
@click.option(
    "--library",
    type=click.Path(path_type=Path),
    default=DEFAULT_LIBRARY,
    envvar="STARWEAVE_LIBRARY",
    help="Folder of the image library.  [default: out/library]",
)
@click.option("--no-library", is_flag=True, help="Keep no pictures.")
def serve(host: str, port: int, repository: Path, folder: Path, library: Path, no_library: bool) -> None:
    """Start Triton and the bridge, and keep both up until Ctrl-C."""
    status = Status()
    with StopSignals() as signals:
        stack = Stack(StackSettings(repository, folder, host, port, None if no_library else library), status)
        try:
            supervise(stack, status, signals.pause)
        except Interrupted:
            status.say("Stopping: pictures under way are finished first.")
        finally:
            stack.close()
        status.say("Stopped.")
