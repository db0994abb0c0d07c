"""How pictures end."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a picture ended, as the metrics count it."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"
    DRAINED = "drained"
    FAILED = "failed"
