"""What a conversation is about: its noun phrases, weighed by keyword extraction."""

import re
from collections.abc import Sequence

from yake import KeywordExtractor

from bridge.prompts.context.english import COLOURS, OPPOSITES, REQUEST_VERBS, WORD, singular
from bridge.prompts.context.noun_phrase import NounPhrase

_KEYWORDS = 20
_WORDS = 3


def key_phrases(prompt: str, given: str, named: Sequence[NounPhrase], most: int) -> list[NounPhrase]:
    """Up to `most` phrases of the conversation that the prompt does not speak of, the most telling first.

    `given` is the prompt as the user gave it.

    Campos et al., "YAKE! Keyword extraction from single documents using multiple local features" (2020). A phrase
    that would say something else than the prompt does (another colour where it names one, another time of day,
    season or weather) is left out or loses its colour.
    """
    # Each phrase is a sentence of its own: keywords then never run across two of them.
    text = ". ".join(phrase.bare for phrase in named) + "."
    keywords = KeywordExtractor(lan="en", n=_WORDS, top=_KEYWORDS).extract_keywords(text)
    said = _nouns(prompt)
    names_colours = bool(_nouns(given) & COLOURS)
    chosen: list[NounPhrase] = []
    for keyword, _ in keywords:
        phrase = _holding(keyword, named)
        if phrase is None:
            continue
        if names_colours:
            phrase = phrase.without_colours()
        if phrase.head in said or _contradicts(phrase, said):
            continue
        said.add(phrase.head)
        chosen.append(phrase)
        if len(chosen) == most:
            break
    return chosen


def _nouns(text: str) -> set[str]:
    """The words of a text in their singular, without "'s"."""
    return {singular(re.split(r"['\u2019]", word[0])[0]) for word in WORD.finditer(text)}


def _holding(keyword: str, named: Sequence[NounPhrase]) -> NounPhrase | None:
    """The last phrase that the keyword is a part of."""
    wanted = f" {keyword.casefold()} "
    for phrase in reversed(named):
        if wanted in f" {phrase.bare.casefold()} " and not set(map(str.casefold, phrase.words)) & REQUEST_VERBS:
            return phrase
    return None


def _contradicts(phrase: NounPhrase, said: set[str]) -> bool:
    words = {word.casefold() for word in phrase.words}
    return any(group & said and group & words for group in OPPOSITES)
