"""A preset: words that a style, a quality or a template puts around a prompt."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """Phrases before and after a prompt and those added to its negative prompt, the most important first.

    `wishes` are the words by which an earlier turn of a conversation asks for it; styles only.
    """

    name: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
