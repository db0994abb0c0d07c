"""Runs a benchmark against a server of its own: `python -m benchmarks.with_server MODULE [ARGUMENTS]...`.

MODULE gets the address as `--address host:port`; the server is stopped when it ends.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from standalone.stack import Stack, StackSettings
from standalone.status import Status
from standalone.stop_signals import StopSignals


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("module")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(module: str, arguments: tuple[str, ...]) -> None:
    """Run MODULE with a server up."""
    with StopSignals() as signals, tempfile.TemporaryDirectory() as folder:
        stack = Stack(StackSettings(folder=Path(folder), repeats=False), Status())
        try:
            stack.start_missing(signals.pause)
            command = [sys.executable, "-m", module, "--address", stack.bridge.address, *arguments]
            status = subprocess.run(command, check=False).returncode
        finally:
            stack.close()
    sys.exit(status)


if __name__ == "__main__":
    main()
