"""Computes the embeddings of recorded prompts, once their family is loaded."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import numpy as np
from sqlalchemy import select

from bridge.errors import BridgeError
from bridge.library.database import Database
from bridge.library.embedding import Vector
from bridge.library.errors import LibraryUnavailable
from bridge.library.schema import prompts
from bridge.library.threads import Threads
from bridge.residency import Residency

logger = logging.getLogger(__name__)

_BATCH = 32
# Between two looks where nothing is known to be new: a family may have been loaded, another bridge may have recorded.
_INTERVAL = 30.0

Prompt = tuple[int, str, str]


class Embedder:
    """Keeps the prompts of one database embedded.

    `residencies` tells which families are loaded, `embed` has Triton compute one embedding. Right after a picture is
    made that costs little: Triton has the text encoder's answer in its cache.
    """

    def __init__(
        self,
        database: Database,
        threads: Threads,
        residencies: Callable[[], Sequence[Residency]],
        embed: Callable[[Residency, str], Awaitable[Vector]],
    ) -> None:
        self._database = database
        self._threads = threads
        self._residencies = residencies
        self._embed = embed
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """Says that there may be a new prompt."""
        self._wanted.set()

    async def run(self) -> None:
        """Embeds until it is cancelled."""
        while True:
            self._wanted.clear()
            loaded = {
                residency.family.text_encoder_fingerprint: residency
                for residency in self._residencies()
                if not residency.is_lost
            }
            try:
                while await self._embed_some(loaded):
                    pass
            except LibraryUnavailable as error:
                logger.debug("Prompts are not embedded at the moment: %s", error)
            except Exception:
                # Similarity is a courtesy: whatever happens to it, pictures are recorded.
                logger.exception("Prompts could not be embedded")
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._wanted.wait()

    async def _embed_some(self, loaded: dict[str, Residency]) -> bool:
        """Embeds some prompts; False where none is left to embed. A family that fails is taken out of `loaded`."""
        found = await self._threads.run(self._unembedded, list(loaded))
        vectors: dict[int, Vector] = {}
        for number, space, text in found:
            if space not in loaded:
                continue
            try:
                vectors[number] = await self._embed(loaded[space], text)
            except BridgeError as error:
                name = loaded.pop(space).family.name
                logger.debug("The prompts of %s are not embedded at the moment: %s", name, error)
        if vectors:
            await self._threads.run(self._store, vectors)
        return bool(found)

    def _unembedded(self, spaces: Sequence[str]) -> list[Prompt]:
        statement = select(prompts.c.number, prompts.c.space, prompts.c.text).where(
            prompts.c.space.in_(spaces), prompts.c.embedded_at.is_(None)
        )
        with self._database.reading() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(statement.limit(_BATCH))]

    def _store(self, vectors: dict[int, Vector]) -> None:
        now = time.time_ns() // 1_000_000
        with self._database.writing() as connection:
            for number, vector in vectors.items():
                values = {"vector": vector.astype(np.dtype("<f4")).tobytes(), "embedded_at": now}
                connection.execute(prompts.update().where(prompts.c.number == number).values(values))
