"""Where the library's own work is done: beside the event loop."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from obstore.exceptions import BaseError
from sqlalchemy.exc import SQLAlchemyError

from bridge.library.errors import LibraryUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_THREADS = 4


class Threads:
    """Some threads for what waits for the database or the blob store."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="library")

    async def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Calls the function in a thread. Raises LibraryUnavailable where the database or the store fails it."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, function, *arguments)
        except (SQLAlchemyError, BaseError, OSError) as error:
            logger.warning("The library does not answer: %s", error)
            raise LibraryUnavailable("The library does not answer; try again later.") from error

    def close(self) -> None:
        """Waits for what is under way."""
        self._threads.shutdown()
