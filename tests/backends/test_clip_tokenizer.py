"""Ids equal to those of transformers' CLIPTokenizer, in windows."""

from __future__ import annotations

import random
import shutil
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from transformers import CLIPTokenizer, CLIPTokenizerFast

from export.tokenizer import write_tokenizer
from tests.backends.serving import infer, serve
from tests.checkpoint import CHECKPOINT

sys.path.append(str(Path(__file__).parents[2] / "backends" / "clip_tokenizer"))

from clip_windows import ClipWindows, InvalidParameter, InvalidPrompt, encode

LENGTH = 48
ROOM = LENGTH - 2
PARAMETERS = {"window": "48", "max_windows": "4", "bos_token_id": "737", "eos_token_id": "738", "pad_token_id": "738"}

PROMPTS = [
    "",
    " ",
    "a red circle on a blue background",
    "  two   spaces,\ttabs\nand lines ",
    "it's a dog's life; we'll see, don't you've I'm they'd",
    "1234 5.6 $%^&*() ~~ !?!? --- (((circle:1.2)))",
    "A LARGE Red CIRCLE",
    "ünïcödé ÀÉ e\u0301 \ufb01 \uff26\uff35\uff2c\uff2c \u00df \u1e9e \u0130stanbul",
    "\u201ccurly\u201d \u2018quotes\u2019 \u2026 \u2014 \u2013 \u00a0nbsp\u3000wide",
    "日本語の猫 a cat 중국어 हिन्दी العربية עברית",
    "\U0001f431\U0001f680 emoji \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f1e9\U0001f1ea",
    "a\x00b\x07c\u200bd\ufeffe\ufffdf\x85g",
    "<|endoftext|> inside <|startoftext|> and <|EndOfText|>",
    "w" * 300,
    "word " * 200,
]


@pytest.fixture(scope="module")
def reference() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(CHECKPOINT, subfolder="tokenizer")


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    write_tokenizer(CLIPTokenizerFast.from_pretrained(CHECKPOINT, subfolder="tokenizer"), path)
    return path


@pytest.fixture(scope="module")
def windows(tokenizer_file: Path) -> ClipWindows:
    return ClipWindows.load(tokenizer_file, PARAMETERS)


def expected(reference: CLIPTokenizer, prompt: str) -> list[int]:
    ids: list[int] = reference(prompt, padding="max_length", max_length=LENGTH, truncation=True).input_ids
    return ids


def random_prompts(count: int) -> list[str]:
    """Texts of assigned characters, but for the one whose lower case depends on its place in the word.

    Python and the tokenizers library know different versions of Unicode, and lower-case a final sigma differently.
    """
    blocks = [range(0x20, 0x250), range(0x370, 0x530), range(0x2000, 0x2070), range(0x4E00, 0x4E20)]
    letters = [chr(code) for block in [*blocks, range(0x1F600, 0x1F620)] for code in block]
    known = [letter for letter in letters if unicodedata.category(letter) != "Cn" and letter not in "Σſ"]
    words = [*known, *" " * 90, *"abcdefghijklmnopqrstuvwxyz" * 4]
    source = random.Random(0)
    return ["".join(source.choices(words, k=source.randint(1, 25))) for _ in range(count)]


@pytest.mark.parametrize("prompt", PROMPTS, ids=ascii)
def test_one_window_is_what_the_pipeline_would_use(windows: ClipWindows, reference: CLIPTokenizer, prompt: str) -> None:
    assert encode([windows], [prompt.encode()])[0][0, :LENGTH].tolist() == expected(reference, prompt)


def test_random_texts_are_what_the_pipeline_would_use(windows: ClipWindows, reference: CLIPTokenizer) -> None:
    for prompt in random_prompts(1000):
        assert encode([windows], [prompt.encode()])[0][0, :LENGTH].tolist() == expected(reference, prompt), ascii(
            prompt
        )


@pytest.mark.parametrize(("tokens", "count"), [(0, 1), (1, 1), (ROOM, 1), (ROOM + 1, 2), (2 * ROOM, 2), (3 * ROOM, 3)])
def test_long_texts_take_as_many_windows_as_they_need(
    windows: ClipWindows, reference: CLIPTokenizer, tokens: int, count: int
) -> None:
    text = ", " * tokens
    bare = reference(text, add_special_tokens=False).input_ids
    assert len(bare) == tokens
    ids = encode([windows], [text.encode()])[0]
    assert ids.shape == (1, count * LENGTH)
    found: list[int] = []
    for window in ids.reshape(count, LENGTH).tolist():
        assert window[0] == 737
        end = window.index(738)
        found += window[1:end]
        assert set(window[end:]) == {738}
    assert found == bare


def test_all_texts_get_the_windows_of_the_longest(windows: ClipWindows, reference: CLIPTokenizer) -> None:
    ids = encode([windows], [b"", b"circle " * 60, b"a red circle"])[0]
    assert ids.dtype == np.int64
    assert ids.shape == (3, 2 * LENGTH)
    assert ids[0].tolist() == expected(reference, "") * 2
    assert ids[2].tolist() == expected(reference, "a red circle") + expected(reference, "")


def test_what_exceeds_the_last_window_is_cut(windows: ClipWindows) -> None:
    endless, full = (encode([windows], [b", " * count])[0] for count in (10_000, 4 * ROOM))
    assert endless.shape == (1, 4 * LENGTH)
    np.testing.assert_array_equal(endless, full)


@pytest.mark.parametrize("text", ["", "a red circle", ", " * 4 * ROOM, "ünï " * 20])
def test_of_a_text_that_has_room_nothing_is_dropped(windows: ClipWindows, text: str) -> None:
    assert windows.dropped(text.encode()) == ""


def test_what_has_no_room_is_told_in_the_words_of_the_text(windows: ClipWindows) -> None:
    assert windows.dropped((", " * (4 * ROOM) + "A Moon, ÜBER ALL").encode()) == "A Moon, ÜBER ALL"


def test_bytes_that_are_no_text_are_refused(windows: ClipWindows) -> None:
    with pytest.raises(InvalidPrompt, match="UTF-8"):
        encode([windows], [b"a red circle", b"\xff\xfe"])


@pytest.mark.parametrize("change", [{"window": "2"}, {"max_windows": "0"}, {"bos_token_id": "-1"}, {"window": ""}])
def test_parameters_out_of_range_are_refused(tokenizer_file: Path, change: dict[str, str]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(change))):
        ClipWindows.load(tokenizer_file, PARAMETERS | change)


@pytest.fixture(scope="module")
def triton(
    tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[triton_grpc.InferenceServerClient]:
    """A real Triton with one tokenizer, `words`."""
    folder = tmp_path_factory.mktemp("triton")
    version = folder / "model_repository" / "words" / "1"
    version.mkdir(parents=True)
    shutil.copy(tokenizer_file, version)
    (version.parent / "config.pbtxt").write_text(
        """
        backend: "clip_tokenizer" max_batch_size: 4
        input [
          { name: "PROMPT" data_type: TYPE_STRING dims: 1 },
          { name: "NEGATIVE_PROMPT" data_type: TYPE_STRING dims: 1 optional: true }
        ]
        output [
          { name: "PROMPT_IDS" data_type: TYPE_INT64 dims: -1 },
          { name: "NEGATIVE_PROMPT_IDS" data_type: TYPE_INT64 dims: -1 },
          { name: "DROPPED" data_type: TYPE_STRING dims: 2 }
        ]
        instance_group { count: 1 kind: KIND_CPU }
        """
        + "".join(
            f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in PARAMETERS.items()
        )
    )
    with serve(folder, "words") as client:
        yield client


def texts(*items: bytes) -> np.ndarray:
    return np.array(items, dtype=np.object_).reshape(-1, 1)


def test_a_negative_prompt_that_is_left_out_is_empty(
    triton: triton_grpc.InferenceServerClient, reference: CLIPTokenizer
) -> None:
    answer = infer(triton, "words", PROMPT=texts(b"a red circle", b"a moon"))
    assert answer["PROMPT_IDS"].tolist() == [expected(reference, "a red circle"), expected(reference, "a moon")]
    assert answer["NEGATIVE_PROMPT_IDS"].tolist() == [expected(reference, "")] * 2


def test_both_prompts_get_as_many_windows(triton: triton_grpc.InferenceServerClient) -> None:
    answer = infer(triton, "words", PROMPT=texts(b"a"), NEGATIVE_PROMPT=texts(b", " * (ROOM + 1)))
    assert answer["PROMPT_IDS"].shape == answer["NEGATIVE_PROMPT_IDS"].shape == (1, 2 * LENGTH)


def test_what_of_each_prompt_has_no_room_is_told(triton: triton_grpc.InferenceServerClient) -> None:
    full = b", " * (4 * ROOM)
    answer = infer(triton, "words", PROMPT=texts(full + b"A Moon", b"a sun"), NEGATIVE_PROMPT=texts(b"", full + b"Red"))
    assert answer["DROPPED"].tolist() == [[b"A Moon", b""], [b"", b"Red"]]


def test_a_prompt_that_is_no_text_is_an_invalid_argument(triton: triton_grpc.InferenceServerClient) -> None:
    with pytest.raises(triton_grpc.InferenceServerException, match="UTF-8") as caught:
        infer(triton, "words", PROMPT=texts(b"\xc3\x28"))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
