"""The files that pictures are read from and written to."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from protos import starweave_pb2
from standalone.errors import GenerationFailed

# File endings and the `output_format` they ask for.
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}


def output_format(path: Path) -> str:
    """The `output_format` of STARWEAVE's settings for a file's ending.

    Raises:
        GenerationFailed: the ending names no format that the server makes.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise GenerationFailed(
            f"{path} has no ending the server can make a picture for: use one of {', '.join(FORMATS)}."
        ) from None


def read(path: Path) -> bytes:
    """The bytes of the picture at `path`; the server judges them.

    Raises:
        GenerationFailed: the file cannot be read or holds nothing, which a request could not tell from no picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise GenerationFailed(f"{path} cannot be read: {error.strerror}.") from error
    if not data:
        raise GenerationFailed(f"{path} is empty: name a PNG, JPEG or WebP file.")
    return data


def write(response: starweave_pb2.ImageResponse, path: Path) -> None:
    """Writes the picture of `response`, making the folder if needed.

    Raises:
        GenerationFailed: the response holds an error or no picture, or the file cannot be written.
    """
    if response.error or not response.image_data:
        raise GenerationFailed(response.error or "The server sent no picture and no error: look into its log.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(response.image_data)
    except OSError as error:
        raise GenerationFailed(f"The picture was made, but {path} cannot be written: {error.strerror}.") from error


def describe(response: starweave_pb2.ImageResponse, path: Path) -> str:
    """One sentence about a written picture: where it is, what made it, in what time."""
    with Image.open(io.BytesIO(response.image_data)) as picture:
        width, height = picture.size
    metadata = response.metadata
    return (
        f"{path}: {width}x{height} pixels, made by {metadata.model} in {metadata.generation_time_ms / 1000:.1f} s, "
        f"seed {metadata.seed}."
    )
