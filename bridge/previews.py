"""Previews: pictures under way as the engine estimates them so far."""

import asyncio
import logging
import time

from bridge.codec import PictureCodec
from bridge.residency import Residency
from bridge.triton import Triton

logger = logging.getLogger(__name__)

# Between two previews of one picture.
_INTERVAL = 0.5
# What previews take of the time, at most: their decoding takes cores or the GPU from the steps of all pictures.
_SHARE = 0.1
# The part of its steps after which a picture is not previewed: it is to find the decoder free.
_LAST_PART = 0.9
_SECONDS = 30.0


class Previewer:
    """Makes previews, one at a time: a finished picture waits behind one of them at most to be decoded."""

    def __init__(self, triton: Triton, codec: PictureCodec) -> None:
        self._triton = triton
        self._codec = codec
        self._turn = asyncio.Lock()
        self._rested_at = 0.0

    def stream(self, residency: Residency, request_id: str) -> "PreviewStream":
        """Starts making previews of a generation."""
        return PreviewStream(self, residency, request_id)

    async def preview(self, residency: Residency, request_id: str) -> bytes:
        """A JPEG of a generation as it is when its turn has come; empty where there is nothing to show.

        Raises one of the bridge's errors.
        """
        family = residency.family
        async with self._turn:
            await asyncio.sleep(self._rested_at - time.monotonic())
            standing, latents = await self._triton.preview(family.unet, family.version, request_id, _SECONDS)
            match standing:
                case {"state": "running", "step": step, "steps": steps} if step < _LAST_PART * steps:
                    pass
                case _:
                    return b""
            if latents is None:
                return b""
            started = time.monotonic()
            try:
                pixels = await self._triton.infer(
                    family.vae_decoder, {"LATENTS": latents}, ["IMAGE"], version=family.version, timeout=_SECONDS
                )
            finally:
                ended = time.monotonic()
                self._rested_at = ended + (ended - started) * (1 / _SHARE - 1)
        return await self._codec.encode_preview(pixels["IMAGE"][0])


class PreviewStream:
    """The previews of one picture, the newest of which is kept until it is taken; none follows one that failed."""

    def __init__(self, previewer: Previewer, residency: Residency, request_id: str) -> None:
        self._previewer = previewer
        self._residency = residency
        self._request_id = request_id
        self._newest = b""
        self._making = asyncio.create_task(self._make())

    def take(self) -> bytes:
        """The newest preview, a JPEG, if it has not been taken yet; else empty."""
        preview, self._newest = self._newest, b""
        return preview

    def close(self) -> None:
        """Makes no more previews."""
        self._making.cancel()

    async def _make(self) -> None:
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                self._newest = await self._previewer.preview(self._residency, self._request_id) or self._newest
        except Exception as error:
            # A preview is a courtesy: whatever happens to it, the picture goes on.
            logger.warning("%s: there are no more previews of the picture: %s", self._request_id, error)
