"""What a family's own text encoder takes a prompt to mean, as one vector."""

import numpy as np
from numpy.typing import NDArray

from bridge.residency import Residency
from bridge.triton import Triton

_SECONDS = 30.0

Vector = NDArray[np.float32]


async def embed(triton: Triton, residency: Residency, prompt: str) -> Vector:
    """The prompt's embedding [width] of length 1; two of them are compared by their dot product.

    It is CLIP's pooled output, the hidden state at the end token (transformers' `CLIPTextModel.pooler_output`), or
    where the prompt takes several windows, the mean of theirs. Raises one of the bridge's errors.
    """
    family = residency.family
    # The empty text shows which ids start and end a window.
    texts = {"PROMPT": np.array([[prompt.encode()]], np.object_), "NEGATIVE_PROMPT": np.array([[b""]], np.object_)}
    ids = await triton.infer(
        family.tokenizer, texts, ["PROMPT_IDS", "NEGATIVE_PROMPT_IDS"], version=family.version, timeout=_SECONDS
    )
    encoded = await triton.infer(
        family.text_encoder, {"INPUT_IDS": ids["PROMPT_IDS"]}, ["EMBEDDINGS"], version=family.version, timeout=_SECONDS
    )
    return pooled(ids["PROMPT_IDS"][0], encoded["EMBEDDINGS"][0], ids["NEGATIVE_PROMPT_IDS"][0])


def pooled(ids: NDArray[np.int64], embeddings: Vector, empty_ids: NDArray[np.int64]) -> Vector:
    """The vector of a prompt from its ids [n], their hidden states [n,width], and the ids of the empty prompt."""
    start, end = empty_ids[0], empty_ids[1]
    # Windows begin with the start token, which is no word's.
    starts = np.flatnonzero(ids == start)
    ends = [begin + 1 + int(np.argmax(ids[begin + 1 :] == end)) for begin in starts]
    words = [place for begin, place in zip(starts, ends, strict=True) if place > begin + 1]
    vector = embeddings[words or ends[:1]].astype(np.float32).mean(axis=0)
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
