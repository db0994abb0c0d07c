"""Phrases that are added to a prompt."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What separates phrases; where a prompt ends in it, nothing has to be added.
_SEPARATOR = ", "
_ENDS = " \t\r\n,.;"


@dataclass(frozen=True, slots=True)
class Addition:
    """One phrase, and what it comes from, such as "style"; it stands behind the prompt unless `before` is set."""

    phrase: str
    source: str
    before: bool = False


def new_to(text: str, additions: Sequence[Addition]) -> list[Addition]:
    """Those additions that the text does not hold already as whole words; each phrase once."""
    new: list[Addition] = []
    said = text
    for addition in additions:
        if not re.search(rf"(?<!\w){re.escape(addition.phrase)}(?!\w)", said, re.IGNORECASE):
            new.append(addition)
            said += f"\n{addition.phrase}"
    return new


def joined(text: str, additions: Sequence[Addition]) -> str:
    """The text with the additions around it; without any, the text itself, byte for byte."""
    if not additions:
        return text
    before = [addition.phrase for addition in additions if addition.before]
    after = [addition.phrase for addition in additions if not addition.before]
    # "A fox." and a phrase behind it make "A fox, a phrase".
    core = (text.rstrip(_ENDS) or text) if after else text
    return _SEPARATOR.join([*before, core, *after] if core.strip() else [*before, *after])
