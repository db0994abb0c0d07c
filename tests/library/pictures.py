"""Records for tests, made without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.library.blobs import digest
from bridge.library.record import Entry, Record

PLAIN = Record(
    id="first",
    created_at=1_700_000_000_000,
    user_id="ann",
    requested_model="",
    family="demo",
    version=1,
    fingerprint="ab",
    space="cd",
    capability="text-to-image",
    prompt_given="a Cat",
    prompt="a cat, best quality",
    negative_prompt="",
    style="",
    quality="",
    template="",
    experiment="",
    seed=7,
    width=64,
    height=64,
    generation_ms=500,
    repeat_key="key",
    repeat_of="",
    blob="",
    format="image/png",
    size=0,
    settings={"steps": "20"},
    debug_info={"sampler": "ddim"},
    request={"prompt": "a Cat", "context": ["the \0 end"]},
)


def picture(image_id: str, data: bytes | None = None, **changes: Any) -> Entry:
    """A picture of some bytes, its own unless `data` says otherwise; `changes` are fields of its record."""
    data = f"the bytes of {image_id}".encode() if data is None else data
    return Entry(replace(PLAIN, id=image_id, blob=digest(data), size=len(data), **changes), data)
