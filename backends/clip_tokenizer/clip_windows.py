"""Text to CLIP token ids, in windows of the text encoder's length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer


class InvalidPrompt(ValueError):
    """A prompt that is no text."""


class InvalidParameter(ValueError):
    """A parameter in `config.pbtxt` that is missing or out of range."""


@dataclass(frozen=True, slots=True)
class ClipWindows:
    """Cuts texts of any length into windows of `length` ids, each with start and end, at most `limit` windows.

    A text of one window gets the ids that transformers' `CLIPTokenizer(text, padding="max_length", truncation=True)`
    gives it.
    """

    tokenizer: Tokenizer
    length: int
    limit: int
    start: int
    end: int
    padding: int

    @classmethod
    def load(cls, tokenizer: Path, parameters: Mapping[str, str], part: str = "") -> ClipWindows:
        """Reads a tokenizer.json and the model's parameters; raises InvalidParameter naming what is wrong.

        `part` is what the parameters' names of a further tokenizer have at the end.
        """
        windows = cls(
            Tokenizer.from_file(str(tokenizer)),
            length=_integer(parameters, "window", least=3),
            limit=_integer(parameters, "max_windows", least=1),
            start=_integer(parameters, f"bos_token_id{part}"),
            end=_integer(parameters, f"eos_token_id{part}"),
            padding=_integer(parameters, f"pad_token_id{part}"),
        )
        # The file is shared with other tools; what it may say of these is done here.
        windows.tokenizer.no_padding()
        windows.tokenizer.no_truncation()
        return windows

    @property
    def room(self) -> int:
        """Tokens of text that a window has room for."""
        return self.length - 2

    def tokens(self, text: bytes) -> list[int]:
        """The bare ids of a UTF-8 text, as many as fit; raises InvalidPrompt for a text that is not UTF-8."""
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            raise InvalidPrompt(f"The prompt is not UTF-8 text: {error.reason} at byte {error.start}.") from None
        ids: list[int] = self.tokenizer.encode(decoded, add_special_tokens=False).ids
        return ids[: self.room * self.limit]

    def fill(self, ids: Sequence[int], windows: int) -> list[int]:
        """So many windows of bare ids, each with start and end."""
        starts = range(0, windows * self.room, self.room)
        return [id for start in starts for id in self._window(ids[start : start + self.room])]

    def _window(self, ids: Sequence[int]) -> list[int]:
        filled = [self.start, *ids, self.end]
        return filled + [self.padding] * (self.length - len(filled))

    def dropped(self, text: bytes) -> str:
        """The end of a UTF-8 text that has no room in the last window; "" where all of it has."""
        decoded = text.decode()
        offsets: list[tuple[int, int]] = self.tokenizer.encode(decoded, add_special_tokens=False).offsets
        room = self.room * self.limit
        return decoded[offsets[room][0] :] if len(offsets) > room else ""


def encode(tokenizers: Sequence[ClipWindows], texts: Sequence[bytes]) -> list[npt.NDArray[np.int64]]:
    """By each tokenizer the ids of UTF-8 texts, [texts, k * length]: k windows, as many as any text needs by any.

    Raises InvalidPrompt for a text that is not UTF-8.
    """
    bare = [[each.tokens(text) for text in texts] for each in tokenizers]
    windows = max(
        1, *(-(-len(ids) // each.room) for each, of_texts in zip(tokenizers, bare, strict=True) for ids in of_texts)
    )
    return [
        np.array([each.fill(ids, windows) for ids in of_texts], np.int64)
        for each, of_texts in zip(tokenizers, bare, strict=True)
    ]


def _integer(parameters: Mapping[str, str], key: str, least: int = 0) -> int:
    value = parameters.get(key, "")
    if not value.isdecimal() or int(value) < least:
        raise InvalidParameter(
            f"The parameter {key!r} is {value!r}; it must be a whole number, at least {least}. Export the family again."
        )
    return int(value)
