"""Reads preferences for requests, without ever holding one up for long."""

import asyncio
import logging
import time

from bridge.insight.preferences import Preferences, preferences_of
from bridge.library.library import Library

logger = logging.getLogger(__name__)

# A request goes on without preferences that cannot be had in this time.
_SECONDS = 0.5
# How long what was read is taken to be true, and how long nothing is asked of a library that did not answer.
_FRESH_SECONDS = 30.0
_REST_SECONDS = 10.0
_USERS = 10_000


class PreferenceReader:
    """The preferences of users, kept for some seconds."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._known: dict[str, tuple[float, Preferences]] = {}
        self._rested_at = 0.0

    async def of(self, user_id: str) -> Preferences:
        """What a user prefers, as last read; nothing where the library does not tell in time."""
        now = time.monotonic()
        read_at, known = self._known.get(user_id, (0.0, Preferences()))
        if read_at and now < read_at + _FRESH_SECONDS:
            return known
        if not self._library.is_open or now < self._rested_at:
            return known
        try:
            async with asyncio.timeout(_SECONDS):
                known = await self._library.threads.run(preferences_of, self._library.database, user_id)
        except Exception as error:
            self._rested_at = now + _REST_SECONDS
            logger.warning("The library does not tell of preferences, none are applied: %s", error)
            return known
        if len(self._known) >= _USERS:
            self._known.clear()
        self._known[user_id] = (now, known)
        return known

    def forget(self, user_id: str) -> None:
        """Reads this user's preferences anew the next time."""
        self._known.pop(user_id, None)
