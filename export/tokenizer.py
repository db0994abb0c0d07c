"""The tokenizer files that the clip_tokenizer backend reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, normalizers
from transformers import CLIPTokenizerFast


def write_tokenizers(tokenizers: Sequence[CLIPTokenizerFast], folder: Path) -> None:
    """Saves tokenizer.json and, of SDXL, tokenizer_2.json."""
    for tokenizer, part in zip(tokenizers, ("", "_2"), strict=False):
        write_tokenizer(tokenizer, folder / f"tokenizer{part}.json")


def write_tokenizer(tokenizer: CLIPTokenizerFast, path: Path) -> None:
    """Saves the tokenizer so that it gives a text's bare tokens; start, end and padding are the backend's.

    transformers' fast tokenizer cleans text less than `CLIPTokenizer`, which pipelines use and which is the reference
    here: that one drops control characters and sets CJK characters apart (`BasicTokenizer`).
    """
    plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    plain.no_padding()
    plain.no_truncation()
    plain.post_processor = None
    plain.normalizer = normalizers.Sequence(
        [
            normalizers.BertNormalizer(
                clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
            ),
            normalizers.NFC(),
            normalizers.Lowercase(),
        ]
    )
    plain.save(str(path), pretty=False)
