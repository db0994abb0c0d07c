"""A prompt under change, and what was changed in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """The prompt after a rule has worked on it, with a note for each thing that the rule did."""

    prompt: str
    notes: tuple[str, ...] = ()
