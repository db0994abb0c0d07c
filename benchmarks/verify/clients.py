"""Clients that ask an image server for pictures without a pause, and keep what they were given."""

from __future__ import annotations

import io
import itertools
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import grpc
import numpy as np
import numpy.typing as npt
from PIL import Image

from protos import starweave_pb2
from standalone.client import connect, image_service

CLIENTS: Final = 8
_SECONDS: Final = 300.0
# Of everything the family does a little, small enough for many pictures a second.
REQUESTS: Final = [
    starweave_pb2.ImageRequest(
        prompt=prompt,
        settings=starweave_pb2.ImageSettings(
            width=width, height=64, steps=steps, guidance_scale=guidance_scale, seed=seed, sampler=sampler
        ),
    )
    for seed, (prompt, width, steps, guidance_scale, sampler) in enumerate(
        [
            ("a red circle on a blue background", 64, 4, 5.0, "ddim"),
            ("a yellow moon above a white star", 96, 6, 1.0, "euler_a"),
            ("a green square on a white background", 64, 3, 3.0, "dpmpp_2m"),
            ("a blue heart", 64, 8, 7.5, "pndm"),
        ]
    )
]


@dataclass(frozen=True, slots=True)
class Given:
    """What came of one request: `error` is empty where there is a picture, with the versions that it names."""

    request: int
    error: str
    version: int = 0
    version_in_file: int = 0
    pixels: npt.NDArray[np.uint8] | None = None


def ask(channel: grpc.Channel, request: int) -> Given:
    """Sends one of the REQUESTS."""
    try:
        response = image_service(channel).GenerateImage(REQUESTS[request], timeout=_SECONDS)
    except grpc.RpcError as error:
        return Given(request, f"{error.code().name}: {error.details()}")
    if response.error:
        return Given(request, response.error)
    with Image.open(io.BytesIO(response.image_data)) as picture:
        in_file = re.search(r"Version: (\d+)", picture.text["parameters"])
        pixels = np.asarray(picture)
    version = int(response.metadata.debug_info["version"])
    return Given(request, "", version, int(in_file[1]) if in_file else 0, pixels)


@contextmanager
def asking(address: str, clients: int = CLIENTS) -> Iterator[Sequence[Given]]:
    """While entered, that many clients ask for the REQUESTS in turn; yields what they were given so far."""
    given: list[Given] = []
    stopped = threading.Event()

    def run(first: int) -> None:
        with connect(address) as channel:
            for number in itertools.count(first):
                if stopped.is_set():
                    return
                given.append(ask(channel, number % len(REQUESTS)))

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(run, number) for number in range(clients)]
        try:
            yield given
        finally:
            stopped.set()
    for each in running:
        each.result()
