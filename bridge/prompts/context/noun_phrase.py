"""What a sentence names: its noun phrases."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.prompts.context.english import (
    BEFORE_VERBS,
    COLOURS,
    DETERMINERS,
    FUNCTION_WORDS,
    NOUNS_IN_ING,
    PICTURE_WORDS,
    PLURAL_DETERMINERS,
    REQUEST_VERBS,
    SINGULAR_DETERMINERS,
    WORD,
    is_plural,
    singular,
)

# More words in a row are no noun phrase but something that the rules do not understand.
_LONGEST = 5
_JOINTS = {"and", "&", ",", "or"}
_TOKEN = re.compile(rf"{WORD.pattern}|[,&:()\"]")


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A determiner ("" for none) with the words behind it, the last of which is the head.

    `is_subject` is set for what a sentence is about: "a fox" and "an owl" in "a fox and an owl in a wood".
    """

    turn: int
    determiner: str
    words: tuple[str, ...]
    is_subject: bool

    @property
    def head(self) -> str:
        """The noun, in the form that singular and plural share."""
        return singular(self.words[-1])

    @property
    def modifiers(self) -> tuple[str, ...]:
        """The words before the noun."""
        return self.words[:-1]

    @property
    def is_plural(self) -> bool:
        """Tells whether it names several things."""
        if self.determiner in SINGULAR_DETERMINERS:
            return False
        return self.determiner in PLURAL_DETERMINERS or is_plural(self.words[-1])

    @property
    def bare(self) -> str:
        """The words without the determiner."""
        return " ".join(self.words)

    def without_colours(self) -> "NounPhrase":
        """The same thing, its colour left open."""
        kept = tuple(word for word in self.modifiers if word.casefold() not in COLOURS)
        return replace(self, words=(*kept, self.words[-1]))

    def __str__(self) -> str:
        if self.determiner in ("a", "an"):
            # The word behind it may have changed.
            return f"{'an' if self.words[0][0].casefold() in 'aeiou' else 'a'} {self.bare}"
        return f"{self.determiner} {self.bare}".strip()


def noun_phrases(sentence: str, turn: int) -> Iterator[NounPhrase]:
    """The noun phrases of a sentence in their order."""
    tokens = _TOKEN.findall(sentence)
    # "What about modern art?" is no description of a picture; "Can you draw a fox?" is.
    is_subject = not sentence.endswith("?") or any(token.casefold() in REQUEST_VERBS for token in tokens)
    tokens = _without_request(tokens)
    chunk: list[str] = []
    for index, token in enumerate([*tokens, ","]):
        if not _ends(tokens, index):
            chunk.append(token)
            continue
        phrase = _phrase(chunk, turn, is_subject)
        if phrase is not None:
            yield phrase
        # "a fox and an owl": the owl is a subject too; "a fox in a wood and a river": the river is not.
        is_subject = is_subject and token.casefold() in _JOINTS and (phrase is not None or not chunk)
        chunk = []


def _ends(tokens: list[str], index: int) -> bool:
    """Tells whether the token at `index` ends a noun phrase."""
    if index >= len(tokens) or not WORD.fullmatch(tokens[index]):
        return True
    word = tokens[index].casefold()
    if word in FUNCTION_WORDS:
        return True
    if index > 0 and tokens[index - 1].casefold() in BEFORE_VERBS and word not in DETERMINERS:
        return True
    # "a fox sitting on .." and "a fox sleeping", but "a flying fox" and "a building on ..".
    is_verb = word.endswith("ing") and len(word) > 4 and word not in NOUNS_IN_ING
    return is_verb and (index + 1 >= len(tokens) or tokens[index + 1].casefold() in FUNCTION_WORDS | DETERMINERS)


def _phrase(chunk: list[str], turn: int, is_subject: bool) -> NounPhrase | None:
    determiners = [word.casefold() for word in chunk if word.casefold() in DETERMINERS]
    words = [word for word in chunk if word.casefold() not in DETERMINERS]
    if not words or len(words) > _LONGEST or words[-1].isdecimal() or singular(words[-1]) in COLOURS | PICTURE_WORDS:
        return None
    return NounPhrase(turn, determiners[-1] if determiners else "", tuple(words), is_subject)


def _without_request(tokens: list[str]) -> list[str]:
    """What is left of "please draw me a picture of a fox": "a fox"."""
    words = [token.casefold() for token in tokens]
    start = 0
    while start < len(words) and words[start] not in DETERMINERS and _is_request(words, start):
        start += 1
    for index in range(start, min(start + 4, len(words) - 1)):
        if words[index] in PICTURE_WORDS and words[index + 1] in ("of", "with", "showing"):
            return tokens[index + 2 :]
    return tokens[start:]


def _is_request(words: list[str], index: int) -> bool:
    """Tells whether the word at `index`, none but such words before it, asks for a picture instead of describing it."""
    return (
        words[index] in FUNCTION_WORDS | REQUEST_VERBS
        or not WORD.fullmatch(words[index])
        or (index > 0 and words[index - 1] in BEFORE_VERBS)
    )
