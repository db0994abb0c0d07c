"""The pipeline with the library around it: exact repeats are answered from there, what is made is kept there."""

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial

from bridge.deadline import Deadline
from bridge.job import Job, Place
from bridge.library.blobs import digest
from bridge.library.errors import ImageNotFound
from bridge.library.flights import Flights
from bridge.library.library import Library
from bridge.library.library_use import uses_library
from bridge.library.new_entry import new_entry
from bridge.library.record import LibraryImage
from bridge.library.repeat_key import repeat_key
from bridge.pipeline import PICTURE_INFO, ImagePipeline, asked_info
from bridge.security.caller import Caller
from protos import starweave_pb2

logger = logging.getLogger(__name__)

# A picture is made anew rather than waited for: the database may hang.
_LOOKUP_SECONDS = 1.0
# After a look that failed, for how long none is tried.
_REST_SECONDS = 10.0


class LibraryPipeline:
    """Makes pictures as ImagePipeline does.

    With `repeats`, a request equal to an earlier one gets the picture that the library has, and requests that are
    equal to one under way wait for its picture. Without a library nothing is kept.
    """

    def __init__(self, pipeline: ImagePipeline, library: Library | None, repeats: bool) -> None:
        self._pipeline = pipeline
        self._library = library
        self._repeats = repeats
        self._flights = Flights()
        self._places: dict[str, Place] = {}
        self._rested_at = 0.0

    async def accept(
        self, request: starweave_pb2.ImageRequest, deadline: Deadline, caller: Caller, pictures: int = 1
    ) -> Job:
        """As ImagePipeline.accept."""
        return await self._pipeline.accept(request, deadline, caller, pictures)

    def place(self, request_id: str, place: Place) -> Place:
        """Where this request's picture is being made: at its own place, or at that of an equal request."""
        return self._places.get(self._flights.leader(request_id), place)

    async def run(self, job: Job, place: Place) -> starweave_pb2.ImageResponse:
        """As ImagePipeline.run. The picture is safe in the library's journal when this returns, if it can be."""
        if not uses_library.get() or (self._library is None and not self._repeats):
            return await self._pipeline.run(job, place)
        request_id = place.generation_id
        # The pictures that a job starts from take some time to hash.
        key = await asyncio.to_thread(repeat_key, job) if job.pictures else repeat_key(job)
        repeat_of = ""
        response = await self._from_library(job, key, request_id)
        if response is not None:
            repeat_of = response.metadata.debug_info["repeat_of"]
        elif self._repeats:
            # A request of another priority does not wait for this one.
            response, leader = await self._flights.join(
                f"{key} {job.generation.priority}",
                request_id,
                lambda: self._lead(job, place),
                job.deadline.remaining,
            )
            if leader != request_id:
                repeat_of = leader
                response = _copy(response, job, request_id, leader)
        else:
            response = await self._pipeline.run(job, place)
        await self._keep(job, response, key, repeat_of)
        return response

    async def _lead(self, job: Job, place: Place) -> starweave_pb2.ImageResponse:
        request_id = place.generation_id
        self._places[request_id] = place
        try:
            return await self._pipeline.run(job, place)
        finally:
            del self._places[request_id]

    async def _from_library(self, job: Job, key: str, request_id: str) -> starweave_pb2.ImageResponse | None:
        library = self._library
        if library is None or not self._repeats or not library.is_open or time.monotonic() < self._rested_at:
            return None
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                found = await _find(library, key)
        except ImageNotFound:
            return None
        except Exception as error:
            self._rested_at = time.monotonic() + _REST_SECONDS
            logger.warning("The library does not tell of repeats, pictures are made anew: %s", error)
            return None
        if found is None:
            return None
        image, data = found
        record = image.record
        response = starweave_pb2.ImageResponse(
            request_id=request_id,
            image_data=data,
            format=record.format,
            metadata=starweave_pb2.GenerationMetadata(
                model=record.family,
                generation_time_ms=_milliseconds_since(job),
                seed=record.seed,
                debug_info=_repeat_info(job, record.debug_info, record.repeat_of or record.id),
            ),
        )
        response.metadata.generated_at.FromMilliseconds(record.created_at)
        logger.info("%s version %d: OK, a repeat of %s", record.family, record.version, record.id)
        return response

    async def _keep(self, job: Job, response: starweave_pb2.ImageResponse, key: str, repeat_of: str) -> None:
        if self._library is None:
            return
        try:
            await self._library.keep(partial(new_entry, job, response, key, repeat_of))
        except Exception:
            # The picture is there and is answered, whatever becomes of its record.
            logger.exception("The picture is not kept in the library")


async def _find(library: Library, key: str) -> tuple[LibraryImage, bytes] | None:
    await library.repeat_settled(key)
    return await library.threads.run(_look_up, library, key)


def _look_up(library: Library, key: str) -> tuple[LibraryImage, bytes] | None:
    image = library.records.oldest_with(key)
    if image is None:
        return None
    data = library.records.data(image.record)
    if digest(data) != image.record.blob:
        logger.error("The bytes of %s are damaged; it is made anew. Run `starweave library verify`.", image.record.id)
        return None
    return image, data


def _copy(response: starweave_pb2.ImageResponse, job: Job, request_id: str, leader: str) -> starweave_pb2.ImageResponse:
    """The picture of an equal request as the answer to this one."""
    copy = starweave_pb2.ImageResponse()
    copy.CopyFrom(response)
    copy.request_id = request_id
    copy.metadata.generation_time_ms = _milliseconds_since(job)
    told = _repeat_info(job, response.metadata.debug_info, leader)
    copy.metadata.debug_info.clear()
    copy.metadata.debug_info.update(told)
    return copy


def _repeat_info(job: Job, made: Mapping[str, str], repeat_of: str) -> dict[str, str]:
    """What is told of a picture that was made for somebody else: of it, and of this request, but not of the other."""
    of_picture = {key: made[key] for key in PICTURE_INFO if key in made}
    return of_picture | asked_info(job) | {"repeat_of": repeat_of}


def _milliseconds_since(job: Job) -> int:
    return round(job.deadline.elapsed * 1000)
