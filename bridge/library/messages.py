"""The library's pictures, pages and counts in the words of its service."""

import json

from google.protobuf.timestamp_pb2 import Timestamp

from bridge.errors import InvalidRequest
from bridge.library.filters import ImageFilter
from bridge.library.record import LibraryImage
from bridge.library.statistics import MAX_RATING, Group, Statistics
from protos import image_library_pb2


def image_message(image: LibraryImage, data: bytes = b"") -> image_library_pb2.LibraryImage:
    """A picture, with its bytes where they are given."""
    record, rating = image.record, image.rating
    message = image_library_pb2.LibraryImage(
        id=record.id,
        created_at=_timestamp(record.created_at),
        user_id=record.user_id,
        model=record.family,
        version=record.version,
        prompt_given=record.prompt_given,
        prompt=record.prompt,
        negative_prompt=record.negative_prompt,
        style=record.style,
        quality=record.quality,
        template=record.template,
        experiment=record.experiment,
        seed=record.seed,
        width=record.width,
        height=record.height,
        settings=dict(record.settings),
        generation_time_ms=record.generation_ms,
        debug_info=dict(record.debug_info),
        sha256=record.blob,
        format=record.format,
        size_bytes=record.size,
        repeat_of=record.repeat_of,
        image_data=data,
        request_json=json.dumps(record.request),
    )
    if rating is not None:
        message.rating, message.comment = rating.stars, rating.comment
        message.rated_at.CopyFrom(_timestamp(rating.rated_at))
    return message


def statistics_message(found: Statistics) -> image_library_pb2.LibraryStatistics:
    """The counts."""
    message = image_library_pb2.LibraryStatistics(
        images=found.images,
        repeats=found.repeats,
        users=found.users,
        stored_bytes=found.stored_bytes,
        ratings=found.ratings,
        models=[_group(group) for group in found.families],
        styles=[_group(group) for group in found.styles],
    )
    if found.oldest is not None and found.newest is not None:
        message.oldest.CopyFrom(_timestamp(found.oldest))
        message.newest.CopyFrom(_timestamp(found.newest))
    return message


def read_filter(message: image_library_pb2.ImageFilter) -> ImageFilter:
    """The filter that a request asks for. Raises InvalidRequest for a rating that there is not."""
    for name in ("min_rating", "max_rating"):
        stars = getattr(message, name)
        if not 0 <= stars <= MAX_RATING:
            raise InvalidRequest(f"{name} is {stars}; it must be from 1 to {MAX_RATING}, or 0 for none.")
    return ImageFilter(
        user_id=plain("user_id", message.user_id) if message.HasField("user_id") else None,
        family=plain("model", message.model) or None,
        style=plain("style", message.style) or None,
        template=plain("template", message.template) or None,
        experiment=plain("experiment", message.experiment) or None,
        since=message.since.ToMilliseconds() if message.HasField("since") else None,
        until=message.until.ToMilliseconds() if message.HasField("until") else None,
        min_rating=message.min_rating or None,
        max_rating=message.max_rating or None,
    )


def plain(name: str, text: str) -> str:
    """The text itself. Raises InvalidRequest where it holds a NUL, which no database takes."""
    if "\0" in text:
        raise InvalidRequest(f"{name} holds the control character U+0000.")
    return text


def _group(group: Group) -> image_library_pb2.LibraryStatistics.Group:
    return image_library_pb2.LibraryStatistics.Group(
        name=group.name,
        images=group.images,
        mean_rating=group.mean_rating or 0.0,
        mean_generation_time_ms=group.mean_generation_ms,
    )


def _timestamp(milliseconds: int) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromMilliseconds(milliseconds)
    return timestamp
