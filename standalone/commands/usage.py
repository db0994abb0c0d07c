"""`starweave usage`."""

from __future__ import annotations

import click
import grpc
from rich.console import Console
from rich.table import Table

from protos import image_insight_pb2, image_library_pb2
from standalone.client import DEFAULT_ADDRESS, connect, explain, insight_service


@click.command()
@click.option("--by", type=click.Choice(["model", "user", "style", "hour"]), default="model", show_default=True)
@click.option("--model", default="", help="Only pictures of this model.")
@click.option("--user", help="Only pictures of this user.")
@click.option("--style", default="", help="Only pictures of this style.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Rows at most.")
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
def usage(by: str, model: str, user: str | None, style: str, limit: int, address: str) -> None:
    """Count the library's pictures by model, user, style or hour."""
    request = image_insight_pb2.UsageRequest(
        by=by.upper(),
        filter=image_library_pb2.ImageFilter(model=model, user_id=user, style=style),
        limit=limit,
    )
    with connect(address) as channel:
        try:
            uses = insight_service(channel).GetUsage(request, timeout=60).uses
        except grpc.RpcError as error:
            raise explain(error, address) from error
    table = Table(by.capitalize(), "Pictures", "Repeats", "Users", "Mean time", "Rating")
    for use in uses:
        rating = f"{use.mean_rating:.2f} of {use.rated}" if use.rated else ""
        seconds = f"{use.mean_generation_time_ms / 1000:.2f} s" if use.images > use.repeats else ""
        table.add_row(use.name or "-", str(use.images), str(use.repeats), str(use.users), seconds, rating)
    Console().print(table)
