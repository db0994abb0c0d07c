"""What an examination found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How a thing stands. NOTE: worth knowing, and no reason for a server not to work."""

    WELL = "ok"
    NOTE = "note"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and a sentence about it: where it is wrong, with what to do."""

    subject: str
    verdict: Verdict
    sentence: str

    @classmethod
    def well(cls, subject: str, sentence: str) -> Finding:
        """Nothing is wrong with it."""
        return cls(subject, Verdict.WELL, sentence)

    @classmethod
    def note(cls, subject: str, sentence: str) -> Finding:
        """Something about it is worth knowing."""
        return cls(subject, Verdict.NOTE, sentence)

    @classmethod
    def wrong(cls, subject: str, sentence: str) -> Finding:
        """It keeps the server from working, or will."""
        return cls(subject, Verdict.WRONG, sentence)
