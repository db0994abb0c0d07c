"""The way of one picture: from an accepted job through Triton to the finished file."""

import asyncio
import json
import logging
import time
from typing import Any

from numpy.typing import NDArray

from bridge.acceptance import Acceptance
from bridge.cancellation import Cancellations
from bridge.codec import PictureCodec
from bridge.deadline import Deadline
from bridge.dropped_text import DroppedText, dropped_text
from bridge.errors import BridgeError, DeadlineExceeded, ModelLost, ModelUnavailable, Overloaded
from bridge.job import Job, Place
from bridge.limits.admission import Admission
from bridge.observability.picture_observer import ObservedPicture, PictureObserver
from bridge.observability.tracing import outgoing_headers
from bridge.recovery.circuits import Circuits
from bridge.recovery.retries import RetryPolicy
from bridge.residents import Residents
from bridge.security.caller import Caller
from bridge.triton import Triton
from bridge.upscalers import Upscaler
from bridge.upscaling import Upscaling
from protos import starweave_pb2

logger = logging.getLogger(__name__)

# What the engine tells of a generation that is passed on in `debug_info`.
_ENGINE_INFO = ("version", "sampler", "steps", "evaluations", "guidance_scale")
_ENGINE_FIGURES = ("waiting_ms", "denoising_ms", "mean_rows", "steps_waited")
# What `debug_info` tells of the picture itself, whoever asked for it.
PICTURE_INFO = (
    *_ENGINE_INFO,
    *_ENGINE_FIGURES,
    *("generated_size", "strength", "variation_seed", "variation_strength", "upscale", "upscaler"),
    *("dropped_prompt", "dropped_negative_prompt"),
)
# A Triton that is there answers at once, a busy one a little later; one that is gone refuses the connection.
_LIVE_SECONDS = 5.0

Outputs = dict[str, NDArray[Any]]


class ImagePipeline:
    """Makes pictures, and makes them again where Triton or a model went away meanwhile."""

    def __init__(
        self,
        triton: Triton,
        residents: Residents,
        acceptance: Acceptance,
        codec: PictureCodec,
        cancellations: Cancellations,
        admission: Admission,
        retry_policy: RetryPolicy,
        circuits: Circuits,
        observer: PictureObserver,
    ) -> None:
        self._triton = triton
        self._upscaling = Upscaling(triton)
        self._residents = residents
        self._acceptance = acceptance
        self._codec = codec
        self._cancellations = cancellations
        self._admission = admission
        self._retry_policy = retry_policy
        self._circuits = circuits
        self._observer = observer

    async def accept(
        self, request: starweave_pb2.ImageRequest, deadline: Deadline, caller: Caller, pictures: int = 1
    ) -> Job:
        """Accepts a request, as `Acceptance.accept` does."""
        return await self._acceptance.accept(request, deadline, caller, pictures)

    async def run(self, job: Job, place: Place) -> starweave_pb2.ImageResponse:
        """Makes the picture within its deadline; keeps `place` up to date on the way.

        Raises one of the bridge's errors. However this ends, by error or by being cancelled, the engine is told to
        give up what it still holds of the picture.
        """
        request_id = place.generation_id
        with self._admission.held(job.caller), self._observer.observe(job.generation, job.caller.key) as picture:
            job, outputs = await self._make(job, place, picture)
            info = json.loads(outputs["INFO"].reshape(-1)[0])
            # The family may have changed its version since the request was accepted.
            generation = job.generation.made_by(int(info["version"]))
            pixels, upscaler = outputs["IMAGE"][0], None
            if job.upscaler is not None:
                with picture.stage("upscale"):
                    upscaled = await self._upscaling.upscale(pixels, job.upscaler, job.deadline)
                pixels, upscaler = upscaled.pixels, upscaled.upscaler
            with picture.stage("encode"):
                file, dropped = await asyncio.gather(
                    self._codec.encode(pixels, generation), dropped_text(self._triton, generation)
                )
            elapsed = job.deadline.elapsed
            engine_seconds = (info["waiting_ms"] + info["denoising_ms"]) / 1e3
            job.residency.backlog.finished(time.monotonic() - place.sent_at - engine_seconds)
            picture.finished(elapsed, len(file), info, dropped)
        response = starweave_pb2.ImageResponse(
            request_id=request_id,
            image_data=file,
            format=f"image/{generation.output_format}",
            metadata=starweave_pb2.GenerationMetadata(
                model=generation.family.name,
                generation_time_ms=round(elapsed * 1000),
                seed=generation.seed,
                debug_info=_debug_info(job, info, dropped, upscaler),
            ),
        )
        response.metadata.generated_at.GetCurrentTime()
        logger.info(
            "%s version %d, %s, %d steps of %s: OK in %d ms",
            *(generation.family.name, generation.family.version, generation.size),
            *(generation.steps, generation.sampler, round(elapsed * 1000)),
            extra={"family": generation.family.name, "milliseconds": round(elapsed * 1000)},
        )
        return response

    async def _make(self, job: Job, place: Place, picture: ObservedPicture) -> tuple[Job, Outputs]:
        """Attempts the picture until it is made; returns the job as it was made."""
        request_id = place.generation_id
        retries = self._retry_policy.series(job.deadline)
        while True:
            name = job.generation.family.name
            try:
                with picture.stage("triton"):
                    outputs = await self._attempt(job, place)
            except ModelUnavailable as error:
                logger.warning("The model %s went away: %s", name, error.for_log)
                await retries.pause(error, begun=True)
                job = await self._acceptance.again(job, retries)
                place.residency = job.residency
                place.generation_id = f"{request_id}.{retries.count}"
                picture.begun_again(job.generation)
            except BridgeError as error:
                self._circuits.failed(name, error)
                raise
            else:
                self._circuits.succeeded(name)
                self._retry_policy.budget.refund()
                if job.fallback is not None:
                    picture.fell_back(job.fallback)
                return job, outputs

    async def _attempt(self, job: Job, place: Place) -> Outputs:
        try:
            async with self._residents.use(place.residency, job.deadline.remaining):
                return await self._infer(job, place)
        except ModelLost:
            raise
        except ModelUnavailable as error:
            if await self._triton.is_live(_LIVE_SECONDS):
                raise
            # The health probes would find out too, some seconds later; until then others would run into the same.
            lost = ModelLost("The model server stopped while the picture was being made; try again in a minute.")
            place.residency.lose(lost)
            raise lost from error

    async def _infer(self, job: Job, place: Place) -> Outputs:
        residency, deadline = place.residency, job.deadline
        lost, backlog = residency.lost, residency.backlog
        place.sent_at = time.monotonic()
        call = asyncio.create_task(
            self._triton.infer(
                job.generation.ensemble,
                {**job.generation.inputs(), **job.pictures},
                ["IMAGE", "INFO"],
                request_id=place.generation_id,
                queue_timeout=deadline.remaining,
                reserve=backlog.beside,
                headers=outgoing_headers(),
            )
        )
        try:
            waited: set[asyncio.Future[Any]] = {call, lost}
            await asyncio.wait(waited, timeout=deadline.remaining, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
            if lost.done():
                raise ModelLost(str(lost.result()))
            raise DeadlineExceeded(
                f"The picture was not finished within {deadline.seconds:g} seconds, waiting included; "
                "ask for fewer steps or a smaller size, or allow more time."
            )
        except Overloaded as error:
            backlog.refused(job.generation, error)
            raise
        except BaseException:
            backlog.given_up()
            raise
        finally:
            # Where the connection broke, an engine that is still there may hold the picture too.
            if not call.done() or isinstance(call.exception(), ModelUnavailable):
                call.cancel()
                self._cancellations.send(residency, place.generation_id)


def asked_info(job: Job) -> dict[str, str]:
    """The part of `debug_info` that tells of the one who asked: equal for equal requests only if they ask alike."""
    generation = job.generation
    info = generation.prompt_origin.debug_info()
    info["prompt"] = generation.prompt
    info["negative_prompt"] = generation.negative_prompt
    info["requested_model"] = generation.requested_model
    if job.merit:
        info["model_choice"] = job.merit
    if job.fallback is not None:
        info["fallback"] = job.fallback
    return info


def _debug_info(job: Job, info: dict[str, Any], dropped: DroppedText, upscaler: Upscaler | None) -> dict[str, str]:
    """What the caller may want to know beyond STARWEAVE's own metadata; times in milliseconds."""
    generation = job.generation
    debug_info = {key: str(info[key]) for key in (*_ENGINE_INFO, *_ENGINE_FIGURES)} | asked_info(job)
    debug_info["generated_size"] = str(generation.generated_size)
    if dropped.prompt:
        debug_info["dropped_prompt"] = dropped.prompt
    if dropped.negative_prompt:
        debug_info["dropped_negative_prompt"] = dropped.negative_prompt
    if upscaler is not None:
        debug_info["upscale"] = str(upscaler.factor)
        debug_info["upscaler"] = f"{upscaler.name} version {upscaler.version}"
    if generation.strength is not None:
        debug_info["strength"] = f"{generation.strength:g}"
    if generation.variation is not None:
        debug_info["variation_seed"] = str(generation.variation.seed)
        debug_info["variation_strength"] = f"{generation.variation.strength:g}"
    return debug_info
