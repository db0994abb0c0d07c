"""The way of one picture: from STARWEAVE's request through Triton to the finished file."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from bridge.cancellation import Cancellations
from bridge.catalog import Catalog
from bridge.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from bridge.generation import Generation, validate
from bridge.pictures import PictureEncoder
from bridge.residency import Residency
from bridge.triton import Triton
from protos import starweave_pb2

logger = logging.getLogger(__name__)

# What the engine tells of a generation that is passed on in `debug_info`.
_ENGINE_INFO = ("version", "sampler", "steps", "evaluations", "guidance_scale")
_ENGINE_FIGURES = ("waiting_ms", "denoising_ms", "mean_rows", "steps_waited")


@dataclass(frozen=True, slots=True)
class Job:
    """A valid wish and the loaded family that is to fulfil it."""

    generation: Generation
    residency: Residency


class ImagePipeline:
    """Makes pictures, up to `max_in_flight` at the same time."""

    def __init__(
        self,
        triton: Triton,
        catalog: Catalog,
        encoder: PictureEncoder,
        cancellations: Cancellations,
        max_in_flight: int,
    ) -> None:
        self._triton = triton
        self._catalog = catalog
        self._encoder = encoder
        self._cancellations = cancellations
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    def accept(self, request: starweave_pb2.ImageRequest) -> Job:
        """Finds the family for a request and checks the request against its limits.

        Raises InvalidRequest, or ModelUnavailable where no family is ready.
        """
        residency = self._catalog.resolve(request.model)
        return Job(validate(request, residency.family), residency)

    async def run(self, job: Job, request_id: str, seconds: float) -> starweave_pb2.ImageResponse:
        """Makes the picture within `seconds`, waiting included.

        Raises one of the bridge's errors. However this ends, by error or by being cancelled, the engine is told to
        give up what it still holds of the picture.
        """
        started = time.monotonic()
        with self._admitted():
            tensors = await self._infer(job, request_id, seconds)
            generation = job.generation
            picture = await self._encoder.encode(tensors["IMAGE"][0], generation)
            milliseconds = round((time.monotonic() - started) * 1000)
            response = starweave_pb2.ImageResponse(
                request_id=request_id,
                image_data=picture,
                format=f"image/{generation.output_format}",
                metadata=starweave_pb2.GenerationMetadata(
                    model=generation.family.name,
                    generation_time_ms=milliseconds,
                    seed=generation.seed,
                    debug_info=_debug_info(generation, json.loads(tensors["INFO"].reshape(-1)[0])),
                ),
            )
            response.metadata.generated_at.GetCurrentTime()
        logger.info(
            "%s version %d, %s, %d steps of %s: OK in %d ms",
            *(generation.family.name, generation.family.version, generation.size),
            *(generation.steps, generation.sampler, milliseconds),
        )
        return response

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(
                f"The server is busy with {self._in_flight} pictures, as many as it takes; try again in a minute."
            )
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def _infer(self, job: Job, request_id: str, seconds: float) -> dict[str, NDArray[Any]]:
        residency = job.residency
        lost = residency.lost
        call = asyncio.create_task(
            self._triton.infer(
                job.generation.family.name,
                job.generation.inputs(),
                ["IMAGE", "INFO"],
                request_id=request_id,
                queue_timeout=seconds,
            )
        )
        try:
            waited: set[asyncio.Future[Any]] = {call, lost}
            await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
            if lost.done():
                raise ModelUnavailable(str(lost.result()))
            raise DeadlineExceeded(
                f"The picture was not finished within {seconds:g} seconds, waiting included; "
                "ask for fewer steps or a smaller size, or allow more time."
            )
        finally:
            if not call.done():
                call.cancel()
                self._cancellations.send(residency, request_id)


def _debug_info(generation: Generation, info: dict[str, Any]) -> dict[str, str]:
    """What the caller may want to know beyond STARWEAVE's own metadata; times in milliseconds."""
    debug_info = {key: str(info[key]) for key in (*_ENGINE_INFO, *_ENGINE_FIGURES)}
    debug_info["requested_model"] = generation.requested_model
    debug_info["generated_size"] = str(generation.generated_size)
    if generation.variation is not None:
        debug_info["variation_seed"] = str(generation.variation.seed)
        debug_info["variation_strength"] = f"{generation.variation.strength:g}"
    return debug_info
