"""The library of one bridge: put together, started and stopped."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from bridge.library.blobs import BlobStore
from bridge.library.database import Database
from bridge.library.deletion import Deletion
from bridge.library.embedder import Embedder
from bridge.library.embedding import Vector
from bridge.library.errors import LibraryUnavailable
from bridge.library.journal import Journal
from bridge.library.location import Location
from bridge.library.record import Entry
from bridge.library.recorder import Recorder
from bridge.library.records import Records
from bridge.library.retention import Retention, prune
from bridge.library.search import Search
from bridge.library.similarity import Similarity
from bridge.library.threads import Threads
from bridge.residency import Residency

logger = logging.getLogger(__name__)

_OPEN_PAUSE = 5.0
_PRUNE_SECONDS = 3600.0
_SETTLE_SECONDS = 10.0
_REFRESH_SECONDS = 1.0


class Library:
    """Keeps pictures, and looks after what it keeps. Made inside a running event loop.

    The database may be away, also at the start: pictures then wait in the journal, and `opened` is not set.
    """

    def __init__(
        self,
        location: Location,
        retention: Retention,
        residencies: Callable[[], Sequence[Residency]],
        embed: Callable[[Residency, str], Awaitable[Vector]],
    ) -> None:
        self.threads = Threads()
        self.database = Database(location.database_url)
        store = BlobStore(location.blob_store)
        self.records = Records(self.database, store)
        self.search = Search(self.database)
        self.similarity = Similarity(self.database)
        self.deletion = Deletion(self.database, store)
        self.embed = embed
        self._retention = retention
        self._embedder = Embedder(self.database, self.threads, residencies, embed)
        self._recorder = Recorder(Journal(location.journal), self.records.add, self._embedder.wake)
        self._opened = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_open(self) -> bool:
        """Tells whether the database has been there since the start."""
        return self._opened.is_set()

    @property
    def waiting(self) -> int:
        """How many pictures are answered and not recorded yet."""
        return self._recorder.waiting

    def start(self) -> None:
        """Starts looking after the library; nothing here fails where the database is away."""
        loops: list[Coroutine[Any, Any, None]] = [
            self._open(),
            self._after_opening(self._recorder.run),
            self._after_opening(self._embedder.run),
            self._after_opening(self._prune),
        ]
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        for task in self._tasks:
            task.add_done_callback(_log_end)

    async def keep(self, make: Callable[[], Entry]) -> None:
        """Returns when the picture that `make` makes, in a thread, is safe on the disk; it is recorded afterwards.

        Raises OSError, and what `make` raises.
        """
        await self._recorder.keep(make)

    async def settled(self, image_id: str | None = None) -> None:
        """Returns when this picture, or every one that is answered by now, is recorded.

        Raises LibraryUnavailable where that takes longer than some seconds, or the database has not been there yet.
        """
        self._check_open()
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._recorder.settled(image_id)
        except TimeoutError as error:
            raise LibraryUnavailable("The library cannot be written at the moment; try again later.") from error

    async def refresh(self) -> None:
        """Returns when every picture that is answered by now is recorded, or soon where that takes long.

        Raises LibraryUnavailable where the database has not been there yet.
        """
        self._check_open()
        with suppress(TimeoutError):
            async with asyncio.timeout(_REFRESH_SECONDS):
                await self._recorder.settled()

    async def repeat_settled(self, repeat_key: str) -> None:
        """Returns when the pictures of this key that are answered by now are recorded."""
        await self._recorder.repeat_settled(repeat_key)

    async def stop(self) -> None:
        """Stops; what cannot be recorded soon stays in the journal for the next start."""
        if self.is_open:
            await self.refresh()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._close)

    def _check_open(self) -> None:
        if not self.is_open:
            raise LibraryUnavailable("The library's database cannot be reached at the moment; try again later.")

    def _close(self) -> None:
        self._recorder.close()
        self.threads.close()
        self.database.close()

    async def _open(self) -> None:
        was_warned = False
        while not self.is_open:
            try:
                await asyncio.to_thread(self.database.migrate)
                self._opened.set()
            except Exception as error:
                if not was_warned:
                    logger.warning("The library cannot be opened, pictures wait in the journal: %s", error)
                was_warned = True
                await asyncio.sleep(_OPEN_PAUSE)
        logger.info("The library is open.")

    async def _after_opening(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await self._opened.wait()
        await run()

    async def _prune(self) -> None:
        while True:
            try:
                if count := await self.threads.run(prune, self.database, self.deletion, self._retention):
                    logger.info("%d pictures were beyond the library's limits and are deleted.", count)
            except Exception as error:
                logger.warning("The library could not be pruned: %s", error)
            await asyncio.sleep(_PRUNE_SECONDS)


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("A part of the library has ended; pictures wait in the journal", exc_info=error)
