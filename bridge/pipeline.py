"""The way of one picture: from STARWEAVE's request through Triton to the finished file."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bridge.cancellation import Cancellations
from bridge.catalog import Catalog
from bridge.codec import PictureCodec
from bridge.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from bridge.families import Capability
from bridge.generation import Generation
from bridge.residency import Residency
from bridge.triton import Tensors, Triton
from bridge.upscalers import ResidentUpscaler
from bridge.upscaling import Upscaling
from bridge.validation import UpscaleLimits, capability_of, check_finished_size, validate
from protos import starweave_pb2

logger = logging.getLogger(__name__)

# What the engine tells of a generation that is passed on in `debug_info`.
_ENGINE_INFO = ("version", "sampler", "steps", "evaluations", "guidance_scale")
_ENGINE_FIGURES = ("waiting_ms", "denoising_ms", "mean_rows", "steps_waited")


@dataclass(frozen=True, slots=True)
class Job:
    """A valid wish, the tensors of the pictures it starts from, and the loaded family that is to fulfil it.

    `upscaler` is what enlarges the picture, where that is asked for. `accepted_at` is the time (monotonic) that its
    limit is counted from.
    """

    generation: Generation
    residency: Residency
    accepted_at: float
    upscaler: ResidentUpscaler | None
    pictures: Tensors = field(default_factory=dict)


class ImagePipeline:
    """Makes pictures, up to `max_in_flight` at the same time."""

    def __init__(
        self,
        triton: Triton,
        catalog: Catalog,
        codec: PictureCodec,
        cancellations: Cancellations,
        max_in_flight: int,
        max_upscaled_pixels: int,
    ) -> None:
        self._triton = triton
        self._catalog = catalog
        self._codec = codec
        self._cancellations = cancellations
        self._upscaling = Upscaling(triton)
        self._max_in_flight = max_in_flight
        self._max_upscaled_pixels = max_upscaled_pixels
        self._in_flight = 0

    async def accept(self, request: starweave_pb2.ImageRequest) -> Job:
        """Finds the family for a request, checks the request against its limits and decodes its pictures.

        Raises InvalidRequest, ModelUnavailable where no family or upscaler is ready, or Overloaded where pictures would
        have to be decoded while the server is busy.
        """
        accepted_at = time.monotonic()
        capability = capability_of(request)
        residency = self._catalog.resolve(request.model, capability)
        upscales = UpscaleLimits(self._catalog.upscalers.factors, self._max_upscaled_pixels)
        generation = validate(request, residency.family, upscales)
        upscaler = self._catalog.upscalers.resolve(generation.upscale) if generation.upscale > 1 else None
        if capability is Capability.TEXT_TO_IMAGE:
            return Job(generation, residency, accepted_at, upscaler)
        with self._admitted():
            generation, pictures = await self._codec.decode(request, generation)
        check_finished_size(generation, upscales)
        return Job(generation, residency, accepted_at, upscaler, pictures)

    async def run(self, job: Job, request_id: str, seconds: float) -> starweave_pb2.ImageResponse:
        """Makes the picture within `seconds` of its acceptance, waiting included.

        Raises one of the bridge's errors. However this ends, by error or by being cancelled, the engine is told to
        give up what it still holds of the picture.
        """
        with self._admitted():
            tensors = await self._infer(job, request_id, seconds)
            generation = job.generation
            pixels = tensors["IMAGE"][0]
            debug_info = _debug_info(generation, json.loads(tensors["INFO"].reshape(-1)[0]))
            if job.upscaler is not None:
                upscaled = await self._upscaling.upscale(pixels, job.upscaler, job.accepted_at + seconds)
                pixels = upscaled.pixels
                debug_info["upscale"] = str(generation.upscale)
                debug_info["upscaler"] = f"{upscaled.upscaler.name} version {upscaled.upscaler.version}"
            picture = await self._codec.encode(pixels, generation)
            milliseconds = round((time.monotonic() - job.accepted_at) * 1000)
            response = starweave_pb2.ImageResponse(
                request_id=request_id,
                image_data=picture,
                format=f"image/{generation.output_format}",
                metadata=starweave_pb2.GenerationMetadata(
                    model=generation.family.name,
                    generation_time_ms=milliseconds,
                    seed=generation.seed,
                    debug_info=debug_info,
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
        remaining = max(0.0, seconds - (time.monotonic() - job.accepted_at))
        call = asyncio.create_task(
            self._triton.infer(
                job.generation.ensemble,
                {**job.generation.inputs(), **job.pictures},
                ["IMAGE", "INFO"],
                request_id=request_id,
                queue_timeout=remaining,
            )
        )
        try:
            waited: set[asyncio.Future[Any]] = {call, lost}
            await asyncio.wait(waited, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
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
    if generation.strength is not None:
        debug_info["strength"] = f"{generation.strength:g}"
    if generation.variation is not None:
        debug_info["variation_seed"] = str(generation.variation.seed)
        debug_info["variation_strength"] = f"{generation.variation.strength:g}"
    return debug_info
