"""Which families Triton holds: those in use, up to a number."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridge.errors import DeadlineExceeded
from bridge.loading import Loader
from bridge.residency import Residency, State


class Residents:
    """Holds at most `limit` families; one that is needed takes the place of the one that was not for longest.

    Where all are in use, that one takes no further pictures until those it has are finished, and comes back in its
    turn: none is unloaded in use, and none is kept out by another that is always in use.
    """

    def __init__(self, loader: Loader, limit: int) -> None:
        self._loader = loader
        self._limit = limit
        self._turn = asyncio.Lock()
        self._held: list[Residency] = []
        self._arrivals: dict[Residency, asyncio.Task[None]] = {}
        self._entrances: dict[Residency, list[asyncio.Future[None]]] = {}
        self._leaving: Residency | None = None
        self._idle = asyncio.Event()

    @property
    def is_empty(self) -> bool:
        """Tells whether no family is loaded and none is on its way."""
        return not self._held and not self._arrivals

    @asynccontextmanager
    async def use(self, residency: Residency, seconds: float | None) -> AsyncIterator[None]:
        """Keeps a family loaded meanwhile; has it loaded first where it is not.

        Raises DeadlineExceeded where that takes longer than `seconds`, or what the loading raises (see Loader).
        """
        await self._enter(residency, seconds)
        try:
            yield
        finally:
            self._exit(residency)

    async def bring_in(self, residency: Residency) -> None:
        """Has a family loaded, in its turn; raises what the loading raises."""
        async with self.use(residency, None):
            pass

    async def dismiss(self, residency: Residency) -> None:
        """Has a family unloaded that is no longer in the repository."""
        if residency in self._held:
            self._held.remove(residency)
            await self._loader.unload(residency)

    async def _enter(self, residency: Residency, seconds: float | None) -> None:
        if residency.state is State.LOADED and residency is not self._leaving:
            residency.uses += 1
            return
        entrance = asyncio.get_running_loop().create_future()
        self._entrances.setdefault(residency, []).append(entrance)
        if residency not in self._arrivals:
            self._arrivals[residency] = asyncio.create_task(self._arrive(residency))
        try:
            await asyncio.wait({entrance}, timeout=seconds)
        except asyncio.CancelledError:
            if not entrance.cancel() and entrance.exception() is None:
                # Let in at the same moment.
                self._exit(residency)
            raise
        if entrance.cancel():
            raise DeadlineExceeded(
                f"The model {residency.family.name} was not loaded within the time limit; try again in a minute or "
                "allow more time."
            )
        entrance.result()

    def _exit(self, residency: Residency) -> None:
        residency.uses -= 1
        residency.last_used = time.monotonic()
        if residency.uses == 0 and residency is self._leaving:
            self._idle.set()

    async def _arrive(self, residency: Residency) -> None:
        """Loads a family and lets in who waits for it, before another can take its place again."""
        try:
            async with self._turn:
                while len(self._held) >= self._limit:
                    await self._make_room()
                await self._loader.load(residency)
                self._held.append(residency)
                for entrance in self._waiting(residency):
                    residency.uses += 1
                    entrance.set_result(None)
        except Exception as error:
            for entrance in self._waiting(residency):
                entrance.set_exception(error)
        finally:
            del self._arrivals[residency]

    def _waiting(self, residency: Residency) -> list[asyncio.Future[None]]:
        return [entrance for entrance in self._entrances.pop(residency, []) if not entrance.done()]

    async def _make_room(self) -> None:
        self._leaving = leaving = min(self._held, key=lambda held: (held.uses > 0, held.last_used))
        try:
            self._idle.clear()
            if leaving.uses:
                await self._idle.wait()
            if leaving in self._held:
                self._held.remove(leaving)
                await self._loader.unload(leaving)
        finally:
            self._leaving = None
