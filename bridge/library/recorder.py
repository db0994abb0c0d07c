"""Brings answered pictures from the journal into the database and the blob store, one after the other."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError

from bridge.library.journal import DamagedEntry, Entry, Journal
from bridge.library.record import Record

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_LOOK_SECONDS = 0.05
# What an entry itself is to blame for, and how often it is tried before it is set aside. Everything else is a database
# or a store that is away, full or read-only, and passes.
_ENTRYS_FAULT = (DataError, IntegrityError, ValueError, TypeError, KeyError)
_ATTEMPTS = 3


class Recorder:
    """Records what the journal holds, and tries again while the database or the blob store is away.

    `add` records a picture, in a thread; `recorded` is called after each that was recorded.
    """

    def __init__(self, journal: Journal, add: Callable[[Record, bytes], bool], recorded: Callable[[], None]) -> None:
        self._journal = journal
        self._add = add
        self._recorded = recorded
        self._waiting: asyncio.Queue[Path] = asyncio.Queue()
        self._unrecorded: set[Path] = set()
        self._faults: Counter[Path] = Counter()
        self._began = asyncio.Event()
        # Apart from each other: a database that hangs must not keep a picture from being answered.
        self._writers = ThreadPoolExecutor(4, thread_name_prefix="journal")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")

    @property
    def waiting(self) -> int:
        """How many pictures are answered and not recorded yet."""
        return len(self._unrecorded)

    async def keep(self, record: Record, data: bytes) -> None:
        """Returns when the picture is safe on the disk; it is recorded afterwards. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._enqueue(await loop.run_in_executor(self._writers, self._journal.write, Entry(record, data)))

    async def settled(self, image_id: str | None = None) -> None:
        """Returns when this picture, or every one that is answered by now, is recorded or set aside."""
        await self._began.wait()
        waited_for = set(self._unrecorded) if image_id is None else {self._journal.path(image_id)}
        while waited_for & self._unrecorded:
            await asyncio.sleep(_LOOK_SECONDS)

    async def run(self) -> None:
        """Records until it is cancelled, first what an earlier bridge has left."""
        loop = asyncio.get_running_loop()
        for path in await loop.run_in_executor(self._thread, self._journal.entries):
            self._enqueue(path)
        self._began.set()
        if self._unrecorded:
            logger.info("%d pictures were answered and not recorded; they are now.", len(self._unrecorded))
        pause = 0.0
        while True:
            path = await self._waiting.get()
            try:
                await loop.run_in_executor(self._thread, self._record, path)
            except Exception as error:
                if not pause:
                    logger.warning("The library cannot be written, pictures wait in the journal: %s", error)
                pause = min(2 * pause or _FIRST_PAUSE, _LONGEST_PAUSE)
                # Behind the others: they need not wait for what only this one meets with.
                self._waiting.put_nowait(path)
                await asyncio.sleep(pause)
                continue
            self._unrecorded.discard(path)
            if pause:
                logger.info("The library is written again; %d pictures wait.", len(self._unrecorded))
            pause = 0.0
            self._recorded()

    def close(self) -> None:
        """Waits for what is being written; the rest stays in the journal."""
        self._writers.shutdown()
        self._thread.shutdown()

    def _enqueue(self, path: Path) -> None:
        if path not in self._unrecorded:
            self._unrecorded.add(path)
            self._waiting.put_nowait(path)

    def _record(self, path: Path) -> None:
        try:
            entry = self._journal.read(path)
            self._add(entry.record, entry.data)
            self._journal.remove(path)
        except FileNotFoundError:
            # Another bridge that shares the folder has recorded it.
            return
        except DamagedEntry as error:
            logger.error("%s It is kept as %s.", error, self._journal.set_aside(path))
        except _ENTRYS_FAULT as error:
            self._faults[path] += 1
            if self._faults[path] < _ATTEMPTS:
                raise
            del self._faults[path]
            logger.error("%s cannot be recorded: %s It is kept as %s.", path, error, self._journal.set_aside(path))
