"""The turns of a conversation, as `ImageRequest.context` carries them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# What is looked at: the newest turns, and of each so many characters.
_TURNS = 20
_CHARACTERS = 500

_ROLE = re.compile(r"^\s*[\[<(]?(user|human|assistant|ai|bot|model|system|tool)[\])>]?\s*:\s*", re.IGNORECASE)
_USERS = {"user", "human"}
_SENTENCE = re.compile(r"[^.!?;\n]*(?:\.(?!\s|$)[^.!?;\n]*)*[.!?;]*")
# Says that what was talked of before no longer matters.
_RESET = re.compile(
    r"\b(?:(?<!don't )(?<!not )forget|start (?:over|again)|start from scratch|never mind"
    r"|something (?:else|different|new)|(?:new|different) (?:topic|subject|idea))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user said in one turn; `number` is its place in the context, from 1."""

    number: int
    sentences: tuple[str, ...]


def read_turns(context: Sequence[str]) -> tuple[Turn, ...]:
    """The user's turns, oldest first, from the last one on that starts anew.

    A turn may begin with its speaker ("user: .."); without one it is the user's. What others said is left out: a wish
    is the user's.
    """
    turns: list[Turn] = []
    first = max(0, len(context) - _TURNS)
    for number, text in enumerate(context[first:], first + 1):
        role = _ROLE.match(text)
        if role and role[1].casefold() not in _USERS:
            continue
        sentences = _sentences(text[role.end() if role else 0 :][:_CHARACTERS])
        resets = [index for index, sentence in enumerate(sentences) if starts_anew(sentence)]
        if resets:
            turns.clear()
            # "Forget the dragon, draw a fox": the fox still counts.
            rest = sentences[resets[-1]].partition(",")[2].strip()
            sentences = (*([rest] if rest else []), *sentences[resets[-1] + 1 :])
        if sentences:
            turns.append(Turn(number, sentences))
    return tuple(turns)


def starts_anew(text: str) -> bool:
    """Tells whether a text says that it has nothing to do with what came before."""
    return _RESET.search(text) is not None


def _sentences(text: str) -> tuple[str, ...]:
    """Splits a text; a sentence keeps its mark, which tells a question."""
    return tuple(sentence.strip() for sentence in _SENTENCE.findall(text) if sentence.strip(" .!?;\t"))
