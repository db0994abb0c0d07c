"""Decodes and encodes pictures beside the event loop."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from bridge.generation import Generation
from bridge.input_pictures import PictureLimits, decode
from bridge.pictures import encode, encode_preview
from bridge.triton import Tensors
from bridge.validation import size_from
from protos import starweave_pb2


class PictureCodec:
    """Works in threads of its own (Pillow releases the GIL), so that the event loop keeps answering."""

    def __init__(self, limits: PictureLimits) -> None:
        self._limits = limits
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="codec")

    async def decode(self, request: starweave_pb2.ImageRequest, generation: Generation) -> tuple[Generation, Tensors]:
        """Decodes the pictures of a request, and gives its generation the size that follows from them.

        Returns the generation and the tensors INIT_IMAGE and MASK. Raises InvalidRequest.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._decode, request, generation)

    async def encode(self, pixels: NDArray[np.uint8], generation: Generation) -> bytes:
        """Encodes pixels [H,W,3] at the size and in the format that the request asked for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, encode, pixels, generation)

    async def encode_preview(self, pixels: NDArray[np.uint8]) -> bytes:
        """Encodes pixels [H,W,3] as a JPEG of their own size."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, encode_preview, pixels)

    def close(self) -> None:
        """Waits for the pictures under way."""
        self._threads.shutdown()

    def _decode(self, request: starweave_pb2.ImageRequest, generation: Generation) -> tuple[Generation, Tensors]:
        # In one go: no more pictures of a camera's size are in memory than there are threads.
        pictures = decode(request.init_image, request.mask_image, self._limits)
        generation = generation.resized(size_from(pictures.size, request.settings, generation.family.sizes))
        return generation, pictures.tensors(generation.generated_size)
