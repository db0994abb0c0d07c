"""STARWEAVE's service: each method hands over; errors are the interceptor's."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import grpc

from bridge.catalog import Catalog
from bridge.deadline import Deadline
from bridge.errors import BridgeError
from bridge.in_band import as_bridge_error, failed_response, set_error_codes
from bridge.job import Job, Place
from bridge.library.library_pipeline import LibraryPipeline
from bridge.model_list import model_info
from bridge.observability.logs import request_id
from bridge.previews import Previewer, PreviewStream
from bridge.progress import Progress, ProgressPoller
from bridge.prompts.preset_folder import PresetFolder
from bridge.security.caller import caller_of
from bridge.validation import time_limit, validate_variation_strength
from protos import starweave_pb2, starweave_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class ImageGenerationService(starweave_pb2_grpc.ImageGenerationServiceServicer):
    """Makes pictures with the families of one Triton."""

    def __init__(
        self,
        catalog: Catalog,
        pipeline: LibraryPipeline,
        progress: ProgressPoller,
        previewer: Previewer,
        presets: PresetFolder,
        request_timeout: float,
        max_variations: int,
    ) -> None:
        self._catalog = catalog
        self._pipeline = pipeline
        self._progress = progress
        self._previewer = previewer
        self._presets = presets
        self._request_timeout = request_timeout
        self._max_variations = max_variations

    async def GenerateImage(self, request: starweave_pb2.ImageRequest, context: Context) -> starweave_pb2.ImageResponse:
        """Makes one picture."""
        job = await self._accept(request, context)
        return await self._pipeline.run(job, Place(job.residency, request_id.get()))

    async def GenerateImageVariations(self, request: starweave_pb2.ImageVariationsRequest, context: Context) -> None:
        """Makes some pictures around one, each sent as it is finished; one that fails leaves the others alone."""
        validate_variation_strength(request.variation_strength)
        count = min(max(request.num_variations, 1), self._max_variations)
        job = await self._accept(request.base_request, context, count)
        errors: list[BridgeError] = []
        async with asyncio.TaskGroup() as group:
            variations = [
                group.create_task(self._vary(job, number, request.variation_strength, errors))
                for number in range(1, count + 1)
            ]
            for response in asyncio.as_completed(variations):
                await context.write(await response)
        set_error_codes(context, errors)

    async def GenerateImageStream(self, request: starweave_pb2.ImageRequest, context: Context) -> None:
        """Makes one picture, tells of its progress on the way and, where asked to, shows it."""
        job = await self._accept(request, context)
        call_id = request_id.get()
        place = Place(job.residency, call_id)
        run = asyncio.create_task(self._pipeline.run(job, place))
        last = Progress()
        await_progress: asyncio.Task[Progress | None] | None = None
        previews: PreviewStream | None = None
        try:
            await context.write(_progress_message(call_id, last))
            while not run.done():
                making = self._pipeline.place(call_id, place)
                await_progress = asyncio.create_task(self._progress.next(making.residency, making.generation_id))
                await asyncio.wait({run, await_progress}, return_when=asyncio.FIRST_COMPLETED)
                progress = await_progress.result() if await_progress.done() else None
                if progress is None:
                    continue
                preview = b""
                if request.previews and progress.is_running:
                    previews = previews or self._previewer.stream(making.residency, making.generation_id)
                    preview = previews.take()
                if progress != last or preview:
                    last = progress
                    await context.write(_progress_message(call_id, progress, preview))
            await context.write(
                starweave_pb2.ImageProgress(
                    request_id=call_id, stage=starweave_pb2.ImageProgress.FINISHED, result=run.result()
                )
            )
        finally:
            run.cancel()
            if await_progress is not None:
                await_progress.cancel()
            if previews is not None:
                previews.close()

    async def GetImageModels(
        self, request: starweave_pb2.ModelRequest, context: Context
    ) -> starweave_pb2.ModelResponse:
        """Lists all families, loaded or not."""
        presets = self._presets.presets
        return starweave_pb2.ModelResponse(
            models=[
                model_info(family, self._catalog.residency(family), presets, self._catalog.upscalers.factors)
                for family in self._catalog.families
            ]
        )

    async def _vary(
        self, job: Job, number: int, strength: float, errors: list[BridgeError]
    ) -> starweave_pb2.ImageResponse:
        variation_id = f"{request_id.get()}-{number}"
        request_id.set(variation_id)
        variation = replace(job, generation=job.generation.varied(number, strength))
        try:
            return await self._pipeline.run(variation, Place(job.residency, variation_id))
        except Exception as failure:
            error = as_bridge_error(failure, variation_id)
            errors.append(error)
            return failed_response(error, variation_id)

    async def _accept(self, request: starweave_pb2.ImageRequest, context: Context, pictures: int = 1) -> Job:
        """Accepts a request for the least of the client's, the request's and the server's time."""
        remaining = context.time_remaining()
        seconds = min(math.inf if remaining is None else remaining, time_limit(request), self._request_timeout)
        caller = caller_of(request.user_id, context)
        return await self._pipeline.accept(request, Deadline.within(seconds), caller, pictures)


def _progress_message(call_id: str, progress: Progress, preview: bytes = b"") -> starweave_pb2.ImageProgress:
    stage = starweave_pb2.ImageProgress.DENOISING if progress.is_running else starweave_pb2.ImageProgress.WAITING
    return starweave_pb2.ImageProgress(
        request_id=call_id,
        stage=stage,
        queue_position=progress.position,
        step=progress.step,
        steps=progress.steps,
        preview=preview,
    )
