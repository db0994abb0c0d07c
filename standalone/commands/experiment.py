"""`starweave experiment`."""

from __future__ import annotations

import click
import grpc
from rich.console import Console
from rich.table import Table

from protos import image_insight_pb2
from standalone.client import DEFAULT_ADDRESS, connect, explain, insight_service

Interval = image_insight_pb2.ExperimentReport.Interval


@click.command()
@click.argument("name")
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
def experiment(name: str, address: str) -> None:
    """Compare the arms of the experiment NAME by what their users have rated, with 95 % confidence intervals."""
    with connect(address) as channel:
        try:
            request = image_insight_pb2.ExperimentReportRequest(name=name)
            arms = insight_service(channel).GetExperimentReport(request, timeout=60).arms
        except grpc.RpcError as error:
            raise explain(error, address) from error
    if not arms:
        click.echo(f"No picture has been made in the experiment {name}.")
        return
    table = Table("Arm", "Template", "Pictures", "Users", "Raters", "Rating", f"To {arms[0].name}", "Mean time")
    for arm in arms:
        rating = _told(arm.rating) if arm.HasField("rating") else ""
        difference = _told(arm.difference, signed=True) if arm.HasField("difference") else ""
        counts = (str(arm.images), str(arm.users), str(arm.raters))
        seconds = f"{arm.mean_generation_time_ms / 1000:.2f} s"
        table.add_row(arm.name, arm.template or "-", *counts, rating, difference, seconds)
    Console().print(table)


def _told(interval: Interval, signed: bool = False) -> str:
    sign = "+" if signed else ""
    value = f"{interval.value:{sign}.2f}"
    if not interval.HasField("low"):
        return value
    return f"{value} ({interval.low:{sign}.2f} to {interval.high:{sign}.2f})"
