"""Cancels that came before their requests."""

from __future__ import annotations

from collections import OrderedDict

_KEPT = 4096
_SECONDS = 60.0


class EarlyCancels:
    """Ids whose requests may still be on their way, in the text encoder say; bounded in time and number.

    Times are seconds of a monotonic clock. Not thread-safe: the engine calls it under its lock.
    """

    def __init__(self) -> None:
        self._since: OrderedDict[str, float] = OrderedDict()

    def add(self, request_id: str, now: float) -> None:
        """Remembers the id for a minute."""
        self._since.pop(request_id, None)
        self._since[request_id] = now
        self._forget_old(now)

    def take(self, request_id: str, now: float) -> bool:
        """Whether the id was cancelled before; it is forgotten by that."""
        self._forget_old(now)
        return self._since.pop(request_id, None) is not None

    def _forget_old(self, now: float) -> None:
        while self._since:
            oldest = next(iter(self._since))
            if self._since[oldest] >= now - _SECONDS and len(self._since) <= _KEPT:
                return
            del self._since[oldest]
