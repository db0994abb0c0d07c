"""Wishes of earlier turns that hold on: for colours and for a style."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.prompts.context.english import COLOURS, PALETTES, WORD
from bridge.prompts.context.turn import Turn
from bridge.prompts.preset import Preset

_NEGATED = re.compile(r"\b(?:no|not|without|don't|never|less|avoid|instead of|rather than)\s+(?:\w+\s+){0,2}$", re.I)
_COLOUR = "|".join(sorted(COLOURS, key=len, reverse=True))
_LINK = r"(?:\s*[,&]\s*|\s+and\s+|\s+)"
_COLOURS = rf"(?:{_COLOUR})(?:(?:\s*,\s*|\s+and\s+|\s*&\s*)(?:{_COLOUR}))*"
_PALETTE = "|".join(sorted(COLOURS | PALETTES, key=len, reverse=True))
# How a turn asks for colours: "warm colours", "black and white", "make it blue", "in teal and gold". What a single
# thing is painted in ("a red fox", "in red boots") is no wish.
_COLOUR_WISHES = (
    re.compile(rf"\b((?:{_PALETTE})(?:{_LINK}(?:{_PALETTE}))*\s+(?:colou?rs|tones|palette|hues|shades))\b", re.I),
    re.compile(r"(?:in\s+)?\b(black and white|monochrome|sepia|gr[ae]yscale)\b", re.I),
    re.compile(
        rf"\b(?:in|use|using|mostly|colou?rs? (?:is|are)|(?:make|paint|colou?r|want) (?:it|them|everything|all))"
        rf"(?:\s+in)?\s+({_COLOURS})(?=\s*(?:$|[,.!?;:)]|\b(?:please|instead|now|too|this|from|for|and|but)\b))",
        re.I,
    ),
)


_UNWISHED_COLOURS = re.compile(rf"\b(?:no|not|without|avoid|less)\s+(?:more\s+)?({_COLOURS})\b", re.I)


@dataclass(frozen=True, slots=True)
class Wish:
    """The words of a wish, and the turn that it comes from."""

    text: str
    turn: int

    @property
    def names_colours(self) -> bool:
        """Tells whether it names colours, and not only what they should be like."""
        return bool(_colours(self.text))


@dataclass(frozen=True, slots=True)
class Wishes:
    """The last wish of each kind, and the turns without the words of their wishes."""

    colours: Wish | None
    style: Wish | None
    turns: tuple[Turn, ...]


def find_wishes(turns: Sequence[Turn], styles: Mapping[str, Preset]) -> Wishes:
    """Looks for wishes in the turns; a later one replaces an earlier one, and "no .." takes it back.

    A style wish is found by the `wishes` of the presets; its text is the preset's name.
    """
    colours: Wish | None = None
    style: Wish | None = None
    plain: list[Turn] = []
    for turn in turns:
        sentences: list[str] = []
        for sentence in turn.sentences:
            for pattern in _COLOUR_WISHES:
                for match in pattern.finditer(sentence):
                    text = " ".join(match[1].split())
                    colours = None if _NEGATED.search(sentence[: match.start()]) else Wish(text, turn.number)
                sentence = pattern.sub(", ", sentence)
            for match in _UNWISHED_COLOURS.finditer(sentence):
                if colours is not None and _colours(colours.text) & _colours(match[1]):
                    colours = None
            sentence = _UNWISHED_COLOURS.sub(", ", sentence)
            for name, pattern in _style_patterns(styles):
                for match in pattern.finditer(sentence):
                    taken_back = _NEGATED.search(sentence[: match.start()])
                    style = None if taken_back else Wish(name, turn.number)
                sentence = pattern.sub(", ", sentence)
            sentences.append(sentence)
        plain.append(Turn(turn.number, tuple(sentences)))
    return Wishes(colours, style, tuple(plain))


def speaks_of_colours(text: str) -> bool:
    """Tells whether a text names a colour."""
    return bool(_colours(text)) or any(pattern.search(text) for pattern in _COLOUR_WISHES)


def _colours(text: str) -> set[str]:
    return {word[0].casefold() for word in WORD.finditer(text)} & COLOURS


def spoken_style(text: str, styles: Mapping[str, Preset]) -> str:
    """The name of the first of the styles that a text names, "" for none."""
    return next((name for name, pattern in _style_patterns(styles) if pattern.search(text)), "")


def _style_patterns(styles: Mapping[str, Preset]) -> Iterable[tuple[str, re.Pattern[str]]]:
    for name, preset in styles.items():
        if preset.wishes:
            words = "|".join(re.escape(wish) for wish in sorted(preset.wishes, key=len, reverse=True))
            yield (
                name,
                re.compile(
                    rf"(?:\b(?:in|as|like)\s+)?(?:\b(?:an?|the)\s+)?(?<!\w)(?:{words})(?!\w)(?:\s+(?:style|look))?(?:\s+of\b)?",
                    re.I,
                ),
            )
