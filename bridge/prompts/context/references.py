"""Things that a prompt points at ("the fox"), described as the conversation described them."""

import re
from collections.abc import Sequence

from bridge.prompts.context.edit import Edit
from bridge.prompts.context.english import COLOURS, FUNCTION_WORDS, POINTERS, WORD, singular
from bridge.prompts.context.noun_phrase import NounPhrase

_NEGATIONS = {"no", "not", "without"}


def complete_references(prompt: str, named: Sequence[NounPhrase]) -> Edit:
    """Puts before each noun that is pointed at the modifiers that its last description in `named` has beyond it.

    A colour that the prompt gives the thing itself, and every other word of the prompt, stays.
    """
    notes: list[str] = []
    words = list(WORD.finditer(prompt))
    # From the end, so that places further to the front stay what they are.
    for index in reversed(range(len(words))):
        start = _pointer(words, index)
        if start is None:
            continue
        said = [words[place][0] for place in range(start + 1, index)]
        added = _missing(words[index][0], [word.casefold() for word in said], named)
        if added:
            place = words[start + 1].start()
            prompt = f"{prompt[:place]}{' '.join(added)} {prompt[place:]}"
            described = " ".join((*added, *said, words[index][0]))
            notes.append(f'"{words[start][0]} {words[index][0]}" means "{described}"')
    return Edit(prompt, tuple(reversed(notes)))


def _pointer(words: Sequence[re.Match[str]], index: int) -> int | None:
    """The place of the word that points at the noun at `index`, at most two modifiers before it."""
    for place in range(index - 1, max(-1, index - 4), -1):
        word = words[place][0].casefold()
        if word in POINTERS:
            return None if place > 0 and words[place - 1][0].casefold() in _NEGATIONS else place
        if word in FUNCTION_WORDS:
            return None
    return None


def _missing(noun: str, said: Sequence[str], named: Sequence[NounPhrase]) -> tuple[str, ...]:
    has_colour = any(word in COLOURS for word in said)
    for phrase in reversed(named):
        if phrase.head != singular(noun):
            continue
        missing = tuple(
            word
            for word in phrase.modifiers
            if word.casefold() not in said and not (has_colour and word.casefold() in COLOURS)
        )
        if missing:
            return missing
    return ()
