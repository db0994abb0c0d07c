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
    def load(cls, tokenizer: Path, parameters: Mapping[str, str]) -> ClipWindows:
        """Reads a tokenizer.json and the model's parameters; raises InvalidParameter naming what is wrong."""
        windows = cls(
            Tokenizer.from_file(str(tokenizer)),
            length=_integer(parameters, "window", least=3),
            limit=_integer(parameters, "max_windows", least=1),
            start=_integer(parameters, "bos_token_id"),
            end=_integer(parameters, "eos_token_id"),
            padding=_integer(parameters, "pad_token_id"),
        )
        # The file is shared with other tools; what it may say of these is done here.
        windows.tokenizer.no_padding()
        windows.tokenizer.no_truncation()
        return windows

    def encode(self, texts: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """The ids of UTF-8 texts as [texts, k * length], k windows each, as many as the longest text needs.

        Raises InvalidPrompt for a text that is not UTF-8.
        """
        room = self.length - 2
        bare = [self._tokens(text)[: room * self.limit] for text in texts]
        windows = max(1, max(-(-len(ids) // room) for ids in bare))
        return np.array(
            [
                [id for window in range(windows) for id in self._window(ids[window * room : (window + 1) * room])]
                for ids in bare
            ],
            dtype=np.int64,
        )

    def _tokens(self, text: bytes) -> list[int]:
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            raise InvalidPrompt(f"The prompt is not UTF-8 text: {error.reason} at byte {error.start}.") from None
        ids: list[int] = self.tokenizer.encode(decoded, add_special_tokens=False).ids
        return ids

    def _window(self, ids: list[int]) -> list[int]:
        filled = [self.start, *ids, self.end]
        return filled + [self.padding] * (self.length - len(filled))

    def dropped(self, text: bytes) -> str:
        """The end of a UTF-8 text that has no room in the last window; "" where all of it has."""
        decoded = text.decode()
        offsets: list[tuple[int, int]] = self.tokenizer.encode(decoded, add_special_tokens=False).offsets
        room = (self.length - 2) * self.limit
        return decoded[offsets[room][0] :] if len(offsets) > room else ""


def _integer(parameters: Mapping[str, str], key: str, least: int = 0) -> int:
    value = parameters.get(key, "")
    if not value.isdecimal() or int(value) < least:
        raise InvalidParameter(
            f"The parameter {key!r} is {value!r}; it must be a whole number, at least {least}. Export the family again."
        )
    return int(value)
