"""`starweave api-key`."""

from __future__ import annotations

import click

from bridge.security.api_keys import new_key


@click.command()
@click.argument("name")
def api_key(name: str) -> None:
    """Make an API key for a client called NAME.

    The line goes into the file that STARWEAVE_API_KEYS_FILE names; the key goes to the client, and is shown only here.
    """
    try:
        new = new_key(name)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    click.echo(f"Key for the client: {new.key}")
    click.echo(f"Line for the file:  {new.line}")
