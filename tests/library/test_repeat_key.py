"""Two requests are equal when nothing that changes the picture differs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridge.deadline import Deadline
from bridge.generation import Variation
from bridge.job import Job
from bridge.library.repeat_key import repeat_key
from bridge.provenance import Provenance
from bridge.residency import Residency
from bridge.security.caller import Caller
from bridge.sizes import Size
from bridge.validation import validate
from protos import starweave_pb2
from tests.bridge.families import PAINTER, family


def job(**changes: Any) -> Job:
    settings = starweave_pb2.ImageSettings(seed=3)
    generation = validate(starweave_pb2.ImageRequest(prompt="a fox", settings=settings), family(PAINTER))
    residency, caller, deadline = Residency(generation.family, {}), Caller("", "ann"), Deadline(0.0, 60.0)
    return Job(starweave_pb2.ImageRequest(), caller, deadline, replace(generation, **changes), residency)


@pytest.fixture
async def key() -> str:
    return repeat_key(job())


async def test_who_asks_and_how_urgently_makes_no_difference(key: str) -> None:
    assert repeat_key(job()) == key
    assert repeat_key(job(priority=1)) == key
    assert repeat_key(job(requested_model="somebody/else")) == key
    someone = replace(job(), caller=Caller("a key", "bob"), provenance=Provenance(user_id="bob"))
    assert repeat_key(replace(someone, deadline=Deadline(9.0, 1.0))) == key


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a fox "},
        {"negative_prompt": "a dog"},
        {"size": Size(96, 96)},
        {"generated_size": Size(96, 96)},
        {"steps": 21},
        {"guidance_scale": 5.5000001},
        {"guidance_interval": (0.0, 0.9)},
        {"sampler": "euler"},
        {"seed": 4},
        {"output_format": "jpeg"},
        {"strength": 0.5},
        {"variation": Variation(4, 0.5)},
        {"capability": "image-to-image"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_every_setting_counts(key: str, change: dict[str, Any]) -> None:
    assert repeat_key(job(**change)) != key


async def test_another_export_makes_another_picture(key: str) -> None:
    assert repeat_key(job(family=replace(family(PAINTER), fingerprint="another"))) != key


async def test_the_pictures_that_it_starts_from_count(key: str) -> None:
    black, white = np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
    keys = {
        key,
        *(repeat_key(replace(job(), pictures={"INIT_IMAGE": each})) for each in (black, white)),
        repeat_key(replace(job(), pictures={"INIT_IMAGE": black.reshape(1, 4, 16, 3)})),
        repeat_key(replace(job(), pictures={"INIT_IMAGE": black, "MASK": black[..., :1]})),
    }
    assert len(keys) == 5
    assert repeat_key(replace(job(), pictures={"INIT_IMAGE": black.copy()})) in keys
