"""`starweave serve`."""

from __future__ import annotations

from pathlib import Path

import click

from standalone.errors import Interrupted
from standalone.stack import Stack, StackSettings
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
def serve(host: str, port: int, repository: Path, folder: Path) -> None:
    """Start Triton and the bridge, and keep both up until Ctrl-C."""
    status = Status()
    with StopSignals() as signals:
        stack = Stack(StackSettings(repository, folder, host, port), status)
        try:
            supervise(stack, status, signals.pause)
        except Interrupted:
            status.say("Stopping: pictures under way are finished first.")
        finally:
            stack.close()
        status.say("Stopped.")
