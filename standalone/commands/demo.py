"""`starweave demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import grpc

from protos import starweave_pb2
from standalone import picture_file
from standalone.client import DEFAULT_ADDRESS, SERVICE, Health, connect, explain, finished, health, image_service
from standalone.stack import Stack, StackSettings
from standalone.status import Status
from standalone.stop_signals import StopSignals

DEFAULT_PROMPT = "a yellow moon above a white star on a blue background"
# As long as STARWEAVE's own client waits.
TIMEOUT_SECONDS = 60.0


@click.command()
@click.argument("prompt", default=DEFAULT_PROMPT)
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("out/demo.png"), show_default=True)
def demo(prompt: str, output: Path) -> None:
    """Make a picture of PROMPT with the call that STARWEAVE sends.

    Uses the server on this machine if one runs; else starts one and stops it afterwards.
    """
    status = Status()
    with StopSignals() as signals:
        if _is_serving(DEFAULT_ADDRESS):
            status.say(f"An image server runs at {DEFAULT_ADDRESS} already and is used.")
            _make_picture(prompt, output, DEFAULT_ADDRESS, status, signals.pause)
            return
        stack = Stack(StackSettings(), status)
        try:
            stack.start_missing(signals.pause)
            _make_picture(prompt, output, stack.bridge.address, status, signals.pause)
        finally:
            stack.close()
        status.say("Triton and the bridge are stopped. `make serve` keeps them running.")


def _is_serving(address: str) -> bool:
    with connect(address) as channel:
        return health(channel, SERVICE) is Health.SERVING


def _make_picture(prompt: str, output: Path, address: str, status: Status, pause: Callable[[float], None]) -> None:
    request = starweave_pb2.ImageRequest(
        prompt=prompt,
        # What STARWEAVE's client sends when its user chose nothing.
        model="runwayml/stable-diffusion-v1-5",
        settings=starweave_pb2.ImageSettings(width=512, height=512, steps=20, guidance_scale=7.5),
    )
    status.say(
        f'STARWEAVE asks for "{prompt}": {request.model}, {request.settings.width}x{request.settings.height}, '
        f"{request.settings.steps} steps, guidance {request.settings.guidance_scale:g}."
    )
    with connect(address) as channel:
        call = image_service(channel).GenerateImage.future(request, timeout=TIMEOUT_SECONDS)
        try:
            response = finished(call, pause)
        except grpc.RpcError as error:
            raise explain(error, address) from error
    picture_file.write(response, output)
    status.say(picture_file.describe(response, output))
