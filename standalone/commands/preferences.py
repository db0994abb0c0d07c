"""`starweave preferences`."""

from __future__ import annotations

import click
import grpc

from protos import image_insight_pb2
from standalone.client import DEFAULT_ADDRESS, connect, explain, insight_service


@click.command()
@click.argument("user")
@click.option("--reset", is_flag=True, help="Forget them; only pictures from now on count.")
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
def preferences(user: str, reset: bool, address: str) -> None:
    """Show what the server has learnt that USER prefers."""
    request = image_insight_pb2.PreferencesRequest(user_id=user)
    with connect(address) as channel:
        service = insight_service(channel)
        try:
            found = (service.ResetPreferences if reset else service.GetPreferences)(request, timeout=60)
        except grpc.RpcError as error:
            raise explain(error, address) from error
    for name in ("style", "quality"):
        preference = getattr(found, name)
        told = f"{preference.value} ({preference.images} pictures, {preference.share:.0%})" if preference.value else "-"
        click.echo(f"{name}: {told}")
    if found.HasField("reset_at"):
        click.echo(f"reset: {found.reset_at.ToDatetime():%Y-%m-%d %H:%M} UTC")
