"""`starweave models`."""

from __future__ import annotations

import click
import grpc
from rich.console import Console
from rich.table import Table

from protos import starweave_pb2
from standalone.client import DEFAULT_ADDRESS, connect, explain, image_service


@click.command()
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
def models(address: str) -> None:
    """List the models that the server makes pictures with."""
    with connect(address) as channel:
        try:
            listed = image_service(channel).GetImageModels(starweave_pb2.ModelRequest(), timeout=30).models
        except grpc.RpcError as error:
            raise explain(error, address) from error
    table = Table("Id", "Name", "Makes", "Parameters", "Description")
    for model in listed:
        parameters = "\n".join(f"{key}: {value}" for key, value in sorted(model.parameters.items()))
        table.add_row(model.id, model.name, "\n".join(model.capabilities), parameters, model.description)
    Console().print(table)
