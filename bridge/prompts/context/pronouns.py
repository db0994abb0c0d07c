"""A pronoun at the head of a prompt, replaced by what it must mean."""

import re
from collections.abc import Sequence

from bridge.prompts.context.edit import Edit
from bridge.prompts.context.english import DETERMINERS, FUNCTION_WORDS, OPPOSITES, REQUEST_VERBS, WEATHER_VERBS, WORD
from bridge.prompts.context.noun_phrase import NounPhrase

_SINGULAR = {"it", "he", "she", "him", "her"}
_PLURAL = {"they", "them"}
_POSSESSIVE = {"its": False, "his": False, "her": False, "their": True}
_BE = {"is", "was"}
# "make it rain"
_OF_NOTHING = frozenset().union(*OPPOSITES)


def resolve_pronoun(prompt: str, named: Sequence[NounPhrase]) -> Edit:
    """Replaces the first pronoun where exactly one of the things `named` can be meant; else leaves the prompt alone.

    Where the prompt names anything before the pronoun, that is what the pronoun means. "It" that means nothing ("it
    is raining") is left alone as well.
    """
    words = list(WORD.finditer(prompt))
    for index, match in enumerate(words):
        word = match[0].casefold()
        follows = words[index + 1][0].casefold() if index + 1 < len(words) else ""
        is_possessive = word in _POSSESSIVE and (
            word != "her" or (follows != "" and follows not in FUNCTION_WORDS | DETERMINERS)
        )
        if is_possessive or word in _SINGULAR | _PLURAL:
            if word == "it" and (follows in _OF_NOTHING or (follows in _BE and not _acts(words, index + 2))):
                return Edit(prompt)
            plural = _POSSESSIVE[word] if is_possessive else word in _PLURAL
            meant = _meant(named, plural)
            if not meant:
                return Edit(prompt)
            possessed = ("'" if meant.endswith("s") else "'s") if is_possessive else ""
            changed = prompt[: match.start()] + meant + possessed + prompt[match.end() :]
            return Edit(changed, (f'"{match[0]}" means "{meant}"',))
        if word not in FUNCTION_WORDS | REQUEST_VERBS:
            return Edit(prompt)
    return Edit(prompt)


def _acts(words: Sequence[re.Match[str]], index: int) -> bool:
    """Tells whether "it is" goes on with what a thing does, as in "it is flying"."""
    word = words[index][0].casefold() if index < len(words) else ""
    return word.endswith("ing") and word not in WEATHER_VERBS


def _meant(named: Sequence[NounPhrase], plural: bool) -> str:
    """The one thing, or the pair, that the conversation is about; "" where there is not exactly one."""
    subjects: dict[str, NounPhrase] = {}
    for phrase in named:
        if phrase.is_subject:
            known = subjects.get(phrase.head)
            # "a red fox", later "the fox": the fuller description is the thing's.
            if known is None or len(phrase.words) > len(known.words):
                subjects[phrase.head] = phrase
    matching = [phrase for phrase in subjects.values() if phrase.is_plural == plural]
    if len(matching) == 1 and (plural or len(subjects) == 1):
        return str(matching[0])
    if plural and not matching and len(subjects) == 2:
        return " and ".join(str(phrase) for phrase in subjects.values())
    return ""
