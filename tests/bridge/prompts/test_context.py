"""The rules by which a conversation completes a prompt. What whole dialogues make: tests/triton/test_prompts.py."""

import pytest

from bridge.errors import InvalidRequest
from bridge.prompts.context.contextual import contextual_prompt
from bridge.prompts.context.mode import ContextMode, read_mode
from bridge.prompts.context.noun_phrase import noun_phrases
from bridge.prompts.context.turn import read_turns
from bridge.prompts.preset import Preset
from tests.bridge.prompts.dialogues import DIALOGUES, Dialogue

STYLES = {"ink": Preset("ink", after=("ink",), wishes=("ink", "ink drawing"))}


def phrases(sentence: str) -> list[str]:
    return [f"{phrase}!" if phrase.is_subject else str(phrase) for phrase in noun_phrases(sentence, 1)]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("Please draw me a picture of a red dragon on a mountain", ["a red dragon!", "a mountain"]),
        ("a cat and a dog in a wood and a river", ["a cat!", "a dog!", "a wood", "a river"]),
        ("a fox sitting on a wall", ["a fox!", "a wall"]),
        ("a flying fox", ["a flying fox!"]),
        ("a tall building on a hill", ["a tall building!", "a hill"]),
        ("I love old castles", ["old castles!"]),
        ("What do you think about modern art?", ["modern art"]),
        ("Can you paint two owls?", ["two owls!"]),
        ("colourless green ideas sleep furiously tonight", []),
        ("", []),
        ("... 42 !!", []),
    ],
)
def test_noun_phrases(sentence: str, found: list[str]) -> None:
    """Those with a mark are subjects."""
    assert phrases(sentence) == found


def test_turns_are_the_users() -> None:
    turns = read_turns(
        ["user: a fox. It sleeps!", "Assistant: a hen", "[human]: an owl?", "system: be brief", " ", "a bee"]
    )
    assert [(turn.number, turn.sentences) for turn in turns] == [
        (1, ("a fox.", "It sleeps!")),
        (3, ("an owl?",)),
        (6, ("a bee",)),
    ]


def test_the_newest_turns_count() -> None:
    turns = read_turns([f"thing{number}" for number in range(100)])
    assert [turn.number for turn in turns] == list(range(81, 101))


def test_what_is_taken_over_is_told() -> None:
    made = contextual_prompt(
        "it in the snow", ["an old house", "ink drawing please", "in cold colours"], ContextMode.STRONG, STYLES
    )
    assert (made.prompt, made.phrases, made.style) == ("an old house in the snow", ("cold colours",), "ink")
    assert made.notes == (
        '"it" means "an old house"',
        'turn 3 wishes for "cold colours"',
        'turn 2 wishes for the style "ink"',
    )


def test_the_requests_own_style_stands() -> None:
    assert contextual_prompt("a house", ["in ink"], ContextMode.LIGHT, STYLES, "oil").style == ""


@pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))
@pytest.mark.parametrize("mode", [ContextMode.LIGHT, ContextMode.STRONG])
def test_no_word_of_the_prompt_is_lost(dialogue: Dialogue, mode: ContextMode) -> None:
    """All but one pronoun stay, in their order."""
    made = contextual_prompt(dialogue.prompt, dialogue.context, mode, STYLES)
    words = dialogue.prompt.split()
    for index, word in enumerate(words):
        kept = iter(made.prompt.split())
        if word in ("it", "its", "she", "them") and all(other in kept for other in words[:index] + words[index + 1 :]):
            return
    kept = iter(made.prompt.split())
    assert all(word in kept for word in words)


def test_off_changes_nothing() -> None:
    for dialogue in DIALOGUES.values():
        made = contextual_prompt(dialogue.prompt, dialogue.context, ContextMode.OFF, STYLES)
        assert (made.prompt, made.phrases, made.style, made.notes) == (dialogue.prompt, (), "", ())


@pytest.mark.parametrize("text", ["red ", "red and ", "red,", "a fox ", "in ink ", "no ", "a.b", " ", "no red and a "])
def test_a_conversation_made_to_hold_things_up_does_not(text: str) -> None:
    """A rule that backtracked would not come to an end within the test's own time limit."""
    contextual_prompt(text * 100, [text * 1000] * 50, ContextMode.STRONG, STYLES)


def test_modes_are_read() -> None:
    assert read_mode("", ContextMode.LIGHT) is ContextMode.LIGHT
    assert read_mode("Strong", ContextMode.OFF) is ContextMode.STRONG
    with pytest.raises(InvalidRequest, match="context_mode is 'loud'; it must be one of off, light, strong"):
        read_mode("loud", ContextMode.OFF)
