"""`starweave models`."""

from __future__ import annotations

import click
import grpc
from rich.console import Console
from rich.table import Table

from protos import starweave_pb2
from standalone.client import DEFAULT_ADDRESS, connect, explain, image_service
from standalone.commands.compare import compare

# What of a model's parameters a person chooses by, and how it is called in the table.
SETTINGS = {
    "status": "status",
    "version": "version",
    "default_size": "size",
    "supported_sizes": "sizes",
    "default_steps": "steps",
    "default_guidance_scale": "guidance scale",
    "sampler": "samplers",
    "upscale": "upscale",
    "styles": "styles",
    "qualities": "qualities",
    "aliases": "aliases",
}


@click.group(invoke_without_command=True)
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
@click.pass_context
def models(context: click.Context, address: str) -> None:
    """List the models that the server makes pictures with."""
    if context.invoked_subcommand is None:
        _list(address)


models.add_command(compare)


def _list(address: str) -> None:
    with connect(address) as channel:
        try:
            listed = image_service(channel).GetImageModels(starweave_pb2.ModelRequest(), timeout=30).models
        except grpc.RpcError as error:
            raise explain(error, address) from error
    table = Table("Model", "Makes", "Settings", show_lines=True)
    for model in listed:
        settings = "\n".join(
            f"{label}: {model.parameters[key]}" for key, label in SETTINGS.items() if key in model.parameters
        )
        table.add_row(f"{model.id}\n{model.description}", "\n".join(model.capabilities), settings)
    Console().print(table)
