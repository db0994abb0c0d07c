"""Brings answered pictures from the journal into the database and the blob store, those of a moment together."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sqlalchemy.exc import DataError, IntegrityError

from bridge.library.journal import DamagedEntry, Journal
from bridge.library.record import Entry

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
# A transaction costs as much as several pictures in it: those of so long go into one, unless somebody asks for them.
_GATHER_SECONDS = 1.0
_MOST = 16
# What an entry itself is to blame for, and how often it is tried before it is set aside. Everything else is a database
# or a store that is away, full or read-only, and passes.
_ENTRYS_FAULT = (DataError, IntegrityError, ValueError, TypeError, KeyError)
_ATTEMPTS = 3


class Recorder:
    """Records what the journal holds, and tries again while the database or the blob store is away.

    `add` records pictures, in a thread, all or none of them; `recorded` is called after each time.
    """

    def __init__(self, journal: Journal, add: Callable[[Sequence[Entry]], None], recorded: Callable[[], None]) -> None:
        self._journal = journal
        self._add = add
        self._recorded = recorded
        self._waiting: asyncio.Queue[Path] = asyncio.Queue()
        # With their repeat keys; of what an earlier bridge has left they are not known.
        self._unrecorded: dict[Path, str] = {}
        # What has failed, alone or with others: each is tried alone, so that others do not fail with it again.
        self._doubtful: set[Path] = set()
        self._faults: Counter[Path] = Counter()
        self._began = asyncio.Event()
        self._hurry = asyncio.Event()
        self._changed = asyncio.Condition()
        # Apart from each other: a database that hangs must not keep a picture from being answered.
        self._writers = ThreadPoolExecutor(4, thread_name_prefix="journal")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")

    @property
    def waiting(self) -> int:
        """How many pictures are answered and not recorded yet."""
        return len(self._unrecorded)

    async def keep(self, make: Callable[[], Entry]) -> None:
        """Returns when the picture is safe on the disk; it is recorded afterwards.

        `make` is called in a thread. Raises OSError, and what it raises.
        """
        loop = asyncio.get_running_loop()
        self._enqueue(*await loop.run_in_executor(self._writers, self._write, make))

    async def settled(self, image_id: str | None = None) -> None:
        """Returns when this picture, or every one that is answered by now, is recorded or set aside."""
        await self._began.wait()
        await self._wait_for(set(self._unrecorded) if image_id is None else {self._journal.path(image_id)})

    async def repeat_settled(self, repeat_key: str) -> None:
        """Returns when the pictures of this key that are answered by now are recorded or set aside."""
        await self._wait_for({path for path, key in self._unrecorded.items() if key == repeat_key})

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
            paths = await self._next()
            try:
                await loop.run_in_executor(self._thread, self._record, paths)
            except Exception as error:
                if not pause:
                    logger.warning("The library cannot be written, pictures wait in the journal: %s", error)
                pause = min(2 * pause or _FIRST_PAUSE, _LONGEST_PAUSE)
                self._doubtful.update(paths)
                # Behind the others: they need not wait for what only these meet with.
                for path in paths:
                    self._waiting.put_nowait(path)
                await asyncio.sleep(pause)
                continue
            self._doubtful.difference_update(paths)
            async with self._changed:
                for path in paths:
                    del self._unrecorded[path]
                self._changed.notify_all()
            if pause:
                logger.info("The library is written again; %d pictures wait.", len(self._unrecorded))
            pause = 0.0
            self._recorded()

    def close(self) -> None:
        """Waits for what is being written; the rest stays in the journal."""
        self._writers.shutdown()
        self._thread.shutdown()

    def _enqueue(self, path: Path, repeat_key: str = "") -> None:
        if path not in self._unrecorded:
            self._unrecorded[path] = repeat_key
            self._waiting.put_nowait(path)

    def _write(self, make: Callable[[], Entry]) -> tuple[Path, str]:
        entry = make()
        return self._journal.write(entry), entry.record.repeat_key

    async def _wait_for(self, paths: Set[Path]) -> None:
        if paths.isdisjoint(self._unrecorded):
            return
        self._hurry.set()
        async with self._changed:
            await self._changed.wait_for(lambda: paths.isdisjoint(self._unrecorded))

    async def _next(self) -> list[Path]:
        """The pictures that are recorded next, as soon as there are as many, or a moment after the first."""
        paths = [await self._waiting.get()]
        if paths[0] in self._doubtful:
            return paths
        if self._waiting.qsize() < _MOST - 1:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_SECONDS):
                    await self._hurry.wait()
        for _ in range(self._waiting.qsize()):
            path = self._waiting.get_nowait()
            if path in self._doubtful or len(paths) == _MOST:
                self._waiting.put_nowait(path)
            else:
                paths.append(path)
        if self._waiting.empty():
            self._hurry.clear()
        return paths

    def _record(self, paths: Sequence[Path]) -> None:
        entries: dict[Path, Entry] = {}
        for path in paths:
            try:
                entries[path] = self._journal.read(path)
            except FileNotFoundError:
                # Another bridge that shares the folder has recorded it.
                continue
            except DamagedEntry as error:
                logger.error("%s It is kept as %s.", error, self._journal.set_aside(path))
        try:
            self._add(list(entries.values()))
        except _ENTRYS_FAULT as error:
            (path, *others) = entries
            self._faults[path] += not others
            if self._faults[path] < _ATTEMPTS:
                raise
            del self._faults[path]
            logger.error("%s cannot be recorded: %s It is kept as %s.", path, error, self._journal.set_aside(path))
            return
        for path in entries:
            self._journal.remove(path)
