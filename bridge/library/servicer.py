"""The library's own service: each method hands over; errors are the interceptor's, as statuses."""

import time
from typing import Any

import grpc

from bridge.catalog import Catalog
from bridge.errors import InvalidRequest
from bridge.families import Capability
from bridge.library.embedding import Vector
from bridge.library.errors import LibraryUnavailable
from bridge.library.filters import ImageFilter
from bridge.library.library import Library
from bridge.library.messages import image_message, plain, read_filter, statistics_message
from bridge.library.record import LibraryImage, Rating
from bridge.library.statistics import MAX_RATING, statistics
from protos import image_library_pb2, image_library_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

LIBRARY_SERVICE = "starweave.ImageLibraryService"
MAX_PAGE = 200
_PAGE = 50
_SIMILAR = 20
_MAX_QUERY = 1000
_MAX_COMMENT = 2000


class ImageLibraryService(image_library_pb2_grpc.ImageLibraryServiceServicer):
    """Looks into one library, rates and deletes in it."""

    def __init__(self, library: Library, catalog: Catalog) -> None:
        self._library = library
        self._catalog = catalog

    async def GetImage(
        self, request: image_library_pb2.GetImageRequest, context: Context
    ) -> image_library_pb2.LibraryImage:
        """One picture, with its bytes unless they are not wanted."""
        image = await self._image(request.id)
        if request.without_data:
            return image_message(image)
        return image_message(image, await self._library.threads.run(self._library.records.data, image.record))

    async def ListImages(
        self, request: image_library_pb2.ListImagesRequest, context: Context
    ) -> image_library_pb2.ImagePage:
        """Pictures that the filter lets through."""
        return await self._page(read_filter(request.filter), request.page_size, request.page_token, "")

    async def SearchImages(
        self, request: image_library_pb2.SearchImagesRequest, context: Context
    ) -> image_library_pb2.ImagePage:
        """Pictures with the words of the query in their prompts."""
        if len(request.query) > _MAX_QUERY:
            raise InvalidRequest(f"query is {len(request.query)} characters long; it may have up to {_MAX_QUERY}.")
        return await self._page(read_filter(request.filter), request.page_size, request.page_token, request.query)

    async def FindSimilarImages(
        self, request: image_library_pb2.FindSimilarImagesRequest, context: Context
    ) -> image_library_pb2.SimilarImages:
        """Pictures of similar prompts, of the same text encoder."""
        library, chosen = self._library, read_filter(request.filter)
        await library.refresh()
        limit = _size("limit", request.limit, _SIMILAR)
        without = ""
        match request.WhichOneof("like"):
            case "id":
                image = await self._image(request.id)
                space, vector, without = image.record.space, await self._vector_of(image), image.record.id
            case "prompt":
                residency = self._catalog.resolve(request.model, Capability.TEXT_TO_IMAGE)
                _check_length(request.prompt, residency.family.max_prompt_characters)
                space = residency.family.text_encoder_fingerprint
                vector = await library.embed(residency, request.prompt)
            case _:
                raise InvalidRequest("Neither id nor prompt is set; say what the pictures are to be similar to.")
        matches = await library.threads.run(library.similarity.matches, space, vector, chosen, limit, without)
        return image_library_pb2.SimilarImages(
            matches=[
                image_library_pb2.SimilarImages.Match(image=image_message(match.image), similarity=match.similarity)
                for match in matches
            ]
        )

    async def DeleteImage(
        self, request: image_library_pb2.DeleteImageRequest, context: Context
    ) -> image_library_pb2.DeletedImages:
        """Takes a picture out of the library."""
        await self._image(request.id)
        count = await self._library.threads.run(self._library.deletion.by_id, request.id)
        return image_library_pb2.DeletedImages(count=count)

    async def RateImage(
        self, request: image_library_pb2.RateImageRequest, context: Context
    ) -> image_library_pb2.LibraryImage:
        """Rates a picture."""
        if not 1 <= request.rating <= MAX_RATING:
            raise InvalidRequest(f"rating is {request.rating}; it must be from 1 to {MAX_RATING}.")
        if len(request.comment) > _MAX_COMMENT:
            raise InvalidRequest(
                f"comment is {len(request.comment)} characters long; it may have up to {_MAX_COMMENT}."
            )
        rating = Rating(request.rating, request.comment, time.time_ns() // 1_000_000)
        image = await self._image(request.id)
        return image_message(await self._library.threads.run(self._library.records.rate, image.record.id, rating))

    async def GetStatistics(
        self, request: image_library_pb2.GetStatisticsRequest, context: Context
    ) -> image_library_pb2.LibraryStatistics:
        """Counts what the filter lets through."""
        library, chosen = self._library, read_filter(request.filter)
        await library.refresh()
        return statistics_message(await library.threads.run(statistics, library.database, chosen))

    async def ExportUserData(self, request: image_library_pb2.UserDataRequest, context: Context) -> None:
        """Sends everything that there is of a user, the newest first."""
        library, chosen, before = self._library, ImageFilter(user_id=_user(request)), None
        await library.settled()
        while True:
            page = await library.threads.run(library.search.page, chosen, _PAGE, before)
            for image in page.images:
                data = await library.threads.run(library.records.data, image.record)
                await context.write(image_message(image, data))
            before = page.next_before
            if before is None:
                return

    async def DeleteUserData(
        self, request: image_library_pb2.UserDataRequest, context: Context
    ) -> image_library_pb2.DeletedImages:
        """Deletes everything that there is of a user, what was answered a moment ago included."""
        user_id, library = _user(request), self._library
        await library.settled()
        return image_library_pb2.DeletedImages(count=await library.threads.run(library.deletion.of_user, user_id))

    async def _page(self, chosen: ImageFilter, size: int, token: str, query: str) -> image_library_pb2.ImagePage:
        library = self._library
        if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
            raise InvalidRequest("page_token is not one that this service has given.")
        await library.refresh()
        before = int(token) if token else None
        page = await library.threads.run(library.search.page, chosen, _size("page_size", size, _PAGE), before, query)
        return image_library_pb2.ImagePage(
            images=[image_message(image) for image in page.images],
            next_page_token="" if page.next_before is None else str(page.next_before),
        )

    async def _image(self, image_id: str) -> LibraryImage:
        library = self._library
        # It may have been answered a moment ago.
        await library.settled(plain("id", image_id))
        return await library.threads.run(library.records.get, image_id)

    async def _vector_of(self, image: LibraryImage) -> Vector:
        """The embedding of a picture's prompt, computed now where that has not been done yet."""
        library, record = self._library, image.record
        vector = await library.threads.run(library.similarity.vector_of, image)
        if vector is not None:
            return vector
        for residency in self._catalog.residencies:
            if residency.family.text_encoder_fingerprint == record.space and not residency.is_lost:
                return await library.embed(residency, record.prompt)
        raise LibraryUnavailable(
            f"The model {record.family} that made the picture is not loaded as it was then, and the meaning of its "
            "prompt was not computed; ask with a prompt instead."
        )


def _size(name: str, value: int, default: int) -> int:
    if not 0 <= value <= MAX_PAGE:
        raise InvalidRequest(f"{name} is {value}; it must be from 1 to {MAX_PAGE}, or 0 for {default}.")
    return value or default


def _check_length(prompt: str, limit: int) -> None:
    if not prompt.strip():
        raise InvalidRequest("prompt is empty; say what the pictures are to be similar to.")
    if len(prompt) > limit:
        raise InvalidRequest(f"prompt is {len(prompt)} characters long; it may have up to {limit}.")


def _user(request: image_library_pb2.UserDataRequest) -> str:
    # An empty id would mean everybody who gave none.
    if not request.user_id:
        raise InvalidRequest("user_id is empty; say whose pictures are meant.")
    return plain("user_id", request.user_id)
