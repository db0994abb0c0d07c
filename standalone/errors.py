"""The errors of `starweave`: each is a sentence for the person at the terminal."""

from __future__ import annotations

import click


class StandaloneError(click.ClickException):
    """What a command ends with instead of its result; click prints the sentence and exits with `exit_code`."""


class UnsupportedMachine(StandaloneError):
    """This machine, its Python or its libraries cannot run Triton."""

    exit_code = 2


class StartFailed(StandaloneError):
    """Triton or the bridge did not become ready."""


class StackRunning(StandaloneError):
    """Another stack runs from the same work folder."""


class Interrupted(StandaloneError):
    """The person asked to stop before the stack was ready."""

    exit_code = 130


class ServerUnreachable(StandaloneError):
    """No image server answers at the address."""


class GenerationFailed(StandaloneError):
    """The server answered with an error instead of a picture."""


class LibraryUnusable(StandaloneError):
    """The image library cannot be reached or is not as it should be."""


class ExportUnavailable(StandaloneError):
    """The packages that export a checkpoint are not installed."""


class VersionRefused(StandaloneError):
    """A version of a family was not made the active one; the one before still is."""
