"""How many of a text's tokens a family's text encoder gets to see, counted by the family's own tokenizer in Triton."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.errors import BrokenFamily
from bridge.families import Family
from bridge.residency import Residency
from bridge.residents import Residents
from bridge.triton import Triton

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Tokenizer:
    """What a tokenizer model's configuration says: windows of `window` ids, start and end included."""

    window: int
    max_windows: int
    end: int
    max_batch_size: int

    @property
    def budget(self) -> int:
        return (self.window - 2) * self.max_windows


class TokenBudget:
    """Tells which texts fit a family.

    Triton's tokenizer cuts off what is too long: a text that fills the last token may be cut, so it does not count as
    fitting.
    """

    def __init__(self, triton: Triton, residents: Residents) -> None:
        self._triton = triton
        self._residents = residents
        self._tokenizers: dict[str, tuple[str, _Tokenizer]] = {}

    async def longest_fitting(self, residency: Residency, texts: Sequence[str], seconds: float) -> int:
        """The index of the last of the texts, each longer than the one before, that fits; 0 where not even the first.

        A family that is not loaded is, within `seconds`. Raises one of the bridge's errors where that takes longer or
        Triton does not answer.
        """
        if len(texts) == 1:
            return 0
        async with self._residents.use(residency, seconds):
            family = residency.family
            tokenizer = await self._tokenizer(family)
            size = tokenizer.max_batch_size
            parts = [texts[start : start + size] for start in range(0, len(texts), size)]
            counted = await asyncio.gather(*(self._count(family, tokenizer, part) for part in parts))
        counts = [count for part in counted for count in part]
        return max((index for index, count in enumerate(counts) if count < tokenizer.budget), default=0)

    async def _count(self, family: Family, tokenizer: _Tokenizer, texts: Sequence[str]) -> list[int]:
        prompts = np.array([[text.encode()] for text in texts], np.object_)
        outputs = await self._triton.infer(
            family.tokenizer, {"PROMPT": prompts}, ["PROMPT_IDS"], version=family.version, timeout=_SECONDS
        )
        return [_tokens(ids, tokenizer) for ids in outputs["PROMPT_IDS"]]

    async def _tokenizer(self, family: Family) -> _Tokenizer:
        fingerprint, tokenizer = self._tokenizers.get(family.name, ("", None))
        if tokenizer is None or fingerprint != family.fingerprint:
            tokenizer = await self._read(family)
            self._tokenizers[family.name] = (family.fingerprint, tokenizer)
        return tokenizer

    async def _read(self, family: Family) -> _Tokenizer:
        config = await self._triton.config(family.tokenizer, family.version, _SECONDS)
        try:
            window, max_windows, end = (
                int(config["parameters"][key]["string_value"]) for key in ("window", "max_windows", "eos_token_id")
            )
            return _Tokenizer(window, max_windows, end, int(config["max_batch_size"]))
        except (KeyError, ValueError) as error:
            raise BrokenFamily(
                f"The configuration of {family.tokenizer} does not tell how long a prompt may be ({error}); "
                "export the family again."
            ) from error


def _tokens(ids: NDArray[np.int64], tokenizer: _Tokenizer) -> int:
    """The tokens of one text, without start, end and padding: in each window, those before its first end."""
    windows = ids.reshape(-1, tokenizer.window)[:, 1:]
    return int(np.sum(np.argmax(windows == tokenizer.end, axis=1)))
