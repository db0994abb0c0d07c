"""The picture files that a request starts from: checked by what their headers say, then decoded.

Nothing here runs in the event loop: see `bridge.codec`.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from bridge.errors import InvalidRequest
from bridge.sizes import Size

# What the last chunk of a PNG and the last marker of a JPEG look like. A WebP names its length at the start, which
# its decoder checks before it does anything else.
_PNG_END = b"IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
# Each scan of a progressive JPEG passes over the whole picture, and a scan may be a few bytes long; encoders write
# about ten. (libjpeg-turbo's `djpeg -maxscans` is for the same.)
_JPEG_SCAN = b"\xff\xda"
_MAX_JPEG_SCANS = 50


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """How large one picture file of a request may be."""

    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class InputPictures:
    """The decoded pictures of a request: upright, opaque and of the same size.

    `init` has the mode RGB; `mask` has the mode L, white where the picture is repainted.
    """

    init: Image.Image
    mask: Image.Image | None

    @property
    def size(self) -> Size:
        """The size of the pictures as a viewer shows them."""
        return Size(*self.init.size)

    def tensors(self, size: Size) -> dict[str, NDArray[np.generic]]:
        """INIT_IMAGE UINT8 [1,H,W,3], resized with Lanczos, and where there is a mask, MASK UINT8 [1,H,W,1], resized
        to the nearest pixel, as diffusers' VaeImageProcessor resizes them.
        """
        sides = (size.width, size.height)
        tensors: dict[str, NDArray[np.generic]] = {
            "INIT_IMAGE": np.asarray(self.init.resize(sides, Image.Resampling.LANCZOS))[None]
        }
        if self.mask is not None:
            tensors["MASK"] = np.asarray(self.mask.resize(sides, Image.Resampling.NEAREST))[None, ..., None]
        return tensors


def decode(init_image: bytes, mask_image: bytes, limits: PictureLimits) -> InputPictures:
    """Decodes the files of a request; `mask_image` is empty where there is none.

    Of an animated file the first frame is taken; the EXIF orientation is applied; transparent parts become white.
    Raises InvalidRequest for a file that is no PNG, JPEG or WebP picture, too large, damaged or incomplete (pixels are
    decoded only once both headers are in order), and for a mask of another size than the init image's.
    """
    init = _open("init_image", init_image, limits)
    mask = _open("mask_image", mask_image, limits) if mask_image else None
    pictures = InputPictures(
        _pixels("init_image", init), None if mask is None else _pixels("mask_image", mask).convert("L")
    )
    if pictures.mask is not None and pictures.mask.size != pictures.init.size:
        raise InvalidRequest(
            f"mask_image is {Size(*pictures.mask.size)} pixels and init_image is {pictures.size}; "
            "they must be of the same size."
        )
    return pictures


def _open(name: str, data: bytes, limits: PictureLimits) -> ImageFile:
    """Reads the header of a file and holds it against the limits; decodes no pixels."""
    if len(data) > limits.max_bytes:
        raise InvalidRequest(f"{name} is {len(data)} bytes long; it may have up to {limits.max_bytes} bytes.")
    # The plugins themselves, not Image.open: it warns of pictures that a larger limit than Pillow's own lets through.
    plugin: type[ImageFile]
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        plugin, is_whole = PngImageFile, _PNG_END in data
    elif data.startswith(b"\xff\xd8\xff"):
        plugin, is_whole = JpegImageFile, _JPEG_END in data
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        plugin, is_whole = WebPImageFile, True
    else:
        raise InvalidRequest(f"{name} is not a PNG, JPEG or WebP file.")
    if not is_whole:
        raise _damaged(name)
    if plugin is JpegImageFile and data.count(_JPEG_SCAN) > _MAX_JPEG_SCANS:
        raise InvalidRequest(
            f"{name} is a JPEG of more than {_MAX_JPEG_SCANS} scans; save it again, as a plain JPEG or as PNG."
        )
    try:
        file = plugin(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise InvalidRequest(f"{name} has far too many pixels; it may have up to {limits.max_pixels}.") from error
    except Exception as error:
        # Whatever a parser stumbles over in a stranger's file, the file is the reason.
        raise _damaged(name) from error
    width, height = file.size
    if min(width, height) < 1:
        raise _damaged(name)
    if width * height > limits.max_pixels:
        raise InvalidRequest(
            f"{name} is {width}x{height}, {width * height} pixels in all; it may have up to {limits.max_pixels} pixels."
        )
    return file


def _pixels(name: str, file: ImageFile) -> Image.Image:
    """Decodes a file to upright, opaque RGB."""
    try:
        file.load()
    except Exception as error:
        raise _damaged(name) from error
    try:
        ImageOps.exif_transpose(file, in_place=True)
    except Exception:
        # EXIF data that cannot be read says nothing about the orientation; viewers show such a picture as it is.
        pass
    picture: Image.Image = file
    if picture.mode == "I;16":
        # Pillow's own conversion to RGB cuts off what is above 255.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def _damaged(name: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is damaged or incomplete; it cannot be read to its end.")
