"""What a part of `make verify` found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One claim, as a sentence, and whether it held."""

    sentence: str
    held: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """The claims that a part checked, and what it counted or measured, by a name that holds the unit."""

    checks: tuple[Check, ...]
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
