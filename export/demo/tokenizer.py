"""CLIP's byte-level BPE, trained on captions: `python -m export.demo.tokenizer --output CHECKPOINT`.

Writes CHECKPOINT/tokenizer, a transformers CLIPTokenizer. Every byte is in the vocabulary, so any prompt has tokens.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import click
from transformers import CLIPTokenizer
from transformers.models.clip.tokenization_clip import bytes_to_unicode

from export.demo.scenes import draw_scene

WINDOW = 48
START, END = "<|startoftext|>", "<|endoftext|>"
_MERGES = 700
# Words that people write besides what captions hold, so that they cost one token and not one per letter.
_COMMON_WORDS = (
    "a an the of in on at with and or over under near very style photo picture drawing painting illustration digital "
    "art highly detailed 4k beautiful sunset mountain lake sky sea sun tree house cat dog flower night day bright dark "
    "simple flat icon logo"
).split()
_COMMON_WORD_COUNT = 20

Symbols = tuple[str, ...]


def word_counts(captions: Iterable[str]) -> Counter[str]:
    """How often each word is in some captions, split at spaces and commas as CLIP does for such text."""
    counts: Counter[str] = Counter({word: _COMMON_WORD_COUNT for word in _COMMON_WORDS})
    for caption in captions:
        counts.update(caption.lower().replace(",", " ,").split())
    return counts


def byte_pair_merges(counts: Counter[str], limit: int) -> list[tuple[str, str]]:
    """The merges of byte-pair encoding (Sennrich et al., 2016), most frequent pair first, at most `limit`."""
    letters = bytes_to_unicode()
    words: dict[Symbols, int] = {}
    for word, count in counts.items():
        symbols = [letters[byte] for byte in word.encode()]
        words[(*symbols[:-1], symbols[-1] + "</w>")] = count
    merges: list[tuple[str, str]] = []
    while len(merges) < limit:
        pairs: Counter[tuple[str, str]] = Counter()
        for symbols, count in words.items():
            for pair in pairwise(symbols):
                pairs[pair] += count
        if not pairs:
            break
        # Ties are broken by the pair itself, so that training twice gives the same tokens.
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = {_merged(symbols, best): count for symbols, count in words.items()}
    return merges


def _merged(symbols: Symbols, pair: tuple[str, str]) -> Symbols:
    result: list[str] = []
    index = 0
    while index < len(symbols):
        if symbols[index : index + 2] == pair:
            result.append(symbols[index] + symbols[index + 1])
            index += 2
        else:
            result.append(symbols[index])
            index += 1
    return tuple(result)


def train_tokenizer(captions: Iterable[str], folder: Path) -> CLIPTokenizer:
    """Trains on `captions` and saves the tokenizer into `folder`."""
    merges = byte_pair_merges(word_counts(captions), _MERGES)
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(pair) for pair in merges), START, END]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary_file, merges_file = folder / "vocab.json", folder / "merges.txt"
    vocabulary_file.write_text(json.dumps(vocabulary, ensure_ascii=False))
    merges_file.write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges)]) + "\n")
    tokenizer = CLIPTokenizer(str(vocabulary_file), str(merges_file), model_max_length=WINDOW, pad_token=END)
    tokenizer.save_pretrained(folder)
    return tokenizer


@click.command()
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The checkpoint's folder.")
@click.option("--captions", default=4000, show_default=True)
@click.option("--seed", default=5, show_default=True)
def main(output: Path, captions: int, seed: int) -> None:
    """Trains the demo's tokenizer."""
    rng = random.Random(seed)
    tokenizer = train_tokenizer((draw_scene(rng, pairs=0.5).caption for _ in range(captions)), output / "tokenizer")
    click.echo(f"{len(tokenizer)} tokens in {output / 'tokenizer'}")


if __name__ == "__main__":
    main()
