"""A prompt in the light of the conversation before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.prompts.context.key_phrases import key_phrases
from bridge.prompts.context.mode import ContextMode
from bridge.prompts.context.noun_phrase import NounPhrase, noun_phrases
from bridge.prompts.context.pronouns import resolve_pronoun
from bridge.prompts.context.references import complete_references
from bridge.prompts.context.turn import read_turns, starts_anew
from bridge.prompts.context.wish import Wishes, find_wishes, speaks_of_colours, spoken_style
from bridge.prompts.preset import Preset

_KEY_PHRASES = 3


@dataclass(frozen=True, slots=True)
class ContextualPrompt:
    """What the conversation makes of a prompt.

    `prompt` holds every word of the prompt as given in its order, but for one pronoun. `phrases` are to be added
    behind it. `style` is the name of the style that was wished for, or "". `notes` say what was done, in words.
    """

    prompt: str
    phrases: tuple[str, ...] = ()
    style: str = ""
    notes: tuple[str, ...] = ()


def contextual_prompt(
    prompt: str, context: Sequence[str], mode: ContextMode, styles: Mapping[str, Preset], style: str = ""
) -> ContextualPrompt:
    """Completes a prompt by what earlier turns, oldest first, have said; never changes what it says itself.

    `style` is the one that the request asks for by name. A prompt that starts anew ("something else: ..") is left
    alone.
    """
    turns = read_turns([turn for turn in context if turn.strip() != prompt.strip()])
    if mode is ContextMode.OFF or not turns or starts_anew(prompt):
        return ContextualPrompt(prompt)
    wishes = find_wishes(turns, styles)
    named = _named(wishes)
    resolved = resolve_pronoun(prompt, named)
    completed = complete_references(resolved.prompt, named)
    notes = [*resolved.notes, *completed.notes]
    phrases: list[str] = []
    if mode is ContextMode.STRONG:
        for phrase in key_phrases(completed.prompt, prompt, named, _KEY_PHRASES):
            phrases.append(phrase.bare)
            notes.append(f'turn {phrase.turn} speaks of "{phrase.bare}"')
    if wishes.colours and not speaks_of_colours(prompt):
        phrases.append(wishes.colours.text)
        notes.append(f'turn {wishes.colours.turn} wishes for "{wishes.colours.text}"')
    wished = ""
    if wishes.style and not style and not spoken_style(prompt, styles):
        wished = wishes.style.text
        notes.append(f'turn {wishes.style.turn} wishes for the style "{wished}"')
    return ContextualPrompt(completed.prompt, tuple(phrases), wished, tuple(notes))


def _named(wishes: Wishes) -> list[NounPhrase]:
    """All noun phrases of the turns; a later wish for colours takes a thing its colour."""
    named = [
        phrase for turn in wishes.turns for sentence in turn.sentences for phrase in noun_phrases(sentence, turn.number)
    ]
    wish = wishes.colours
    if wish is None or not wish.names_colours:
        return named
    return [phrase.without_colours() if phrase.turn < wish.turn else phrase for phrase in named]
