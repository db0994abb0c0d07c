"""Where rates are counted: in memory, or in a Redis that several bridges share."""

import importlib.util
from typing import Any

from limits.aio.storage import MemoryStorage, RedisStorage, Storage

# A store that is slow must not hold up pictures.
_SECONDS = 0.5


class RateStore:
    """The store of one bridge; `close` gives its connections back."""

    def __init__(self, url: str) -> None:
        """`url`: "" for memory, else `redis://` or `rediss://`. Raises ValueError for others or without the library."""
        self._pool: Any = None
        self.storage: Storage = self._redis(url) if url else MemoryStorage()

    async def close(self) -> None:
        """Closes the connections to Redis."""
        if self._pool is not None:
            await self._pool.disconnect()

    def _redis(self, url: str) -> RedisStorage:
        if not url.startswith(("redis://", "rediss://")):
            raise ValueError("limits_url must begin with redis:// or rediss://.")
        if importlib.util.find_spec("redis") is None:
            raise ValueError("limits_url needs Redis' library: pip install -e '.[redis]'.")
        from redis.asyncio import ConnectionPool

        self._pool = ConnectionPool.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
        return RedisStorage(f"async+{url}", implementation="redispy", connection_pool=self._pool)
