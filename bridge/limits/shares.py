"""How many pictures a user, or an API key, may have under way at the same time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.errors import LimitReached


class Shares:
    """Counts the pictures under way of each name; `limit` 0 bounds nothing. For the one bridge that holds it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._under_way: Counter[str] = Counter()

    @property
    def names(self) -> int:
        """How many names have a picture under way."""
        return len(self._under_way)

    @contextmanager
    def share(self, who: str, name: str) -> Iterator[None]:
        """Counts one picture of `name`; `who` begins the sentence that refuses it. Raises LimitReached."""
        if self._limit and self._under_way[name] >= self._limit:
            raise LimitReached(
                f"{who} may have {self._limit} picture{'s' * (self._limit != 1)} under way at the same time; "
                "try again when one is finished."
            )
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]
