"""What is kept of a picture says who made it, also where that was not the family it was accepted for."""

from __future__ import annotations

import hashlib

import pytest

from bridge.library.new_entry import new_entry
from bridge.sizes import Size
from protos import starweave_pb2
from tests.library.test_repeat_key import job


def response(model: str = "fox", version: str = "3") -> starweave_pb2.ImageResponse:
    metadata = starweave_pb2.GenerationMetadata(model=model, debug_info={"version": version}, generation_time_ms=5)
    metadata.generated_at.FromMilliseconds(1234)
    return starweave_pb2.ImageResponse(request_id="id", image_data=b"data", format="image/png", metadata=metadata)


async def test_a_record_holds_the_bytes_hash_and_the_answers_time() -> None:
    record = new_entry(job(), response(), "key").record
    assert (record.blob, record.size) == (hashlib.sha256(b"data").hexdigest(), 4)
    assert (record.created_at, record.family, record.version, record.repeat_key) == (1234, "fox", 3, "key")


async def test_a_repeat_is_as_old_as_its_own_answer() -> None:
    assert new_entry(job(), response(), "key", "first").record.created_at > 1234


@pytest.mark.parametrize(("model", "version"), [("wolf", "3"), ("fox", "4")])
async def test_a_picture_of_a_stand_in_is_no_repeat_of_the_one_asked_for(model: str, version: str) -> None:
    record = new_entry(job(), response(model, version), "key").record
    assert (record.family, record.version) == (model, int(version))
    assert (record.repeat_key, record.fingerprint, record.space) == ("", "", "")


async def test_the_size_is_that_of_the_finished_picture() -> None:
    record = new_entry(job(size=Size(96, 64), upscale=2), response(), "key").record
    assert (record.width, record.height, record.settings["upscale"]) == (192, 128, "2")
    assert "upscale" not in new_entry(job(), response(), "key").record.settings
