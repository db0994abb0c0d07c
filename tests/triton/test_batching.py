"""Continuous batching inside Triton, proven by the engine's step record."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from tests.triton.family_client import FamilyClient, tensor

PICTURES: list[dict[str, Any]] = [
    {"PROMPT": "a red circle on a blue background", "STEPS": 20, "GUIDANCE_SCALE": 7.5, "SAMPLER": "ddim"},
    {"PROMPT": "a yellow star on a black background", "STEPS": 24, "GUIDANCE_SCALE": 2.0, "SAMPLER": "euler"},
    {"PROMPT": "a pink heart on a white background", "STEPS": 28, "GUIDANCE_SCALE": 12.0, "SAMPLER": "euler_a"},
    {"PROMPT": "a green square", "STEPS": 32, "GUIDANCE_SCALE": 5.0, "SAMPLER": "dpmpp_2m"},
    {"PROMPT": "a purple moon", "STEPS": 36, "GUIDANCE_SCALE": 4.0, "SAMPLER": "dpmpp_2m_karras"},
    {"PROMPT": "a brown cross", "STEPS": 22, "GUIDANCE_SCALE": 1.5, "SAMPLER": "lcm"},
    {"PROMPT": "an orange flower on a teal background", "STEPS": 40, "GUIDANCE_SCALE": 1.0, "SAMPLER": "ddim"},
    {"PROMPT": "a white ring", "STEPS": 26, "GUIDANCE_SCALE": 9.0, "SAMPLER": "euler_a", "NEGATIVE_PROMPT": "red"},
]
LARGEST_DIFFERENCE = 2


def test_eight_different_pictures_share_steps_and_stay_what_they_are(demo: FamilyClient) -> None:
    alone = [demo.picture(SEED=seed, **inputs).image for seed, inputs in enumerate(PICTURES)]
    with ThreadPoolExecutor(len(PICTURES)) as pool:
        futures = [
            pool.submit(demo.picture, request_id=f"together-{seed}", SEED=seed, **inputs)
            for seed, inputs in enumerate(PICTURES)
        ]
        together = [future.result() for future in futures]
    rows = {f"together-{seed}": 2 if inputs["GUIDANCE_SCALE"] > 1 else 1 for seed, inputs in enumerate(PICTURES)}
    steps = [step for step in demo.control(op="record", last=400)["steps"] if rows.keys() & step["ids"]]
    assert {name for step in steps if len(step["ids"]) > 1 for name in step["ids"]} == rows.keys()
    # On a CPU every core takes steps of its own, with its share of the pictures.
    workers = len(os.sched_getaffinity(0))
    assert max(len(step["ids"]) for step in steps) >= len(PICTURES) // workers
    for step in steps:
        assert step["rows"] == sum(rows[name] for name in step["ids"]), "guidance off costs one row, on costs two"
    for seed, made in enumerate(together):
        difference = np.abs(made.image.astype(int) - alone[seed].astype(int)).max()
        assert difference <= LARGEST_DIFFERENCE, f"picture {seed} differs by {difference}"
        assert made.info["mean_rows"] > 2


def test_rows_of_one_request_are_pictures_of_their_own(demo: FamilyClient) -> None:
    seeds = [3, 4, 5]
    alone = [demo.picture(PROMPT=f"a {color} star", SEED=seed, STEPS=8).image for color, seed in
             zip(("red", "blue", "green"), seeds, strict=True)]  # fmt: skip
    inputs = [
        triton_grpc.InferInput("PROMPT", [3, 1], "BYTES"),
        triton_grpc.InferInput("SEED", [3, 1], "INT64"),
        triton_grpc.InferInput("STEPS", [3, 1], "INT32"),
    ]
    inputs[0].set_data_from_numpy(np.array([[b"a red star"], [b"a blue star"], [b"a green star"]], np.object_))
    inputs[1].set_data_from_numpy(np.array(seeds, np.int64)[:, None])
    inputs[2].set_data_from_numpy(np.full((3, 1), 8, np.int32))
    images = demo.client.infer("demo", inputs).as_numpy("IMAGE")
    assert np.abs(images.astype(int) - np.stack(alone).astype(int)).max() <= LARGEST_DIFFERENCE


def test_same_seed_same_picture_other_seed_other_picture(demo: FamilyClient) -> None:
    first, again, other = (
        demo.picture(PROMPT="a red star", SEED=seed, STEPS=6, SAMPLER="euler_a").image for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_variation_strength_goes_from_one_seed_to_the_other(demo: FamilyClient) -> None:
    def varied(strength: float) -> np.ndarray:
        return demo.picture(
            PROMPT="a red star", SEED=1, STEPS=6, VARIATION_SEED=2, VARIATION_STRENGTH=strength
        ).image.astype(int)

    base, other = (demo.picture(PROMPT="a red star", SEED=seed, STEPS=6).image.astype(int) for seed in (1, 2))
    assert np.abs(varied(0.0) - base).max() <= LARGEST_DIFFERENCE
    assert np.abs(varied(1.0) - other).max() <= LARGEST_DIFFERENCE
    half = varied(0.5)
    assert 0 < np.abs(half - base).mean() and 0 < np.abs(half - other).mean()


def test_long_prompts_are_encoded_in_windows(demo: FamilyClient) -> None:
    long_prompt = "a red circle on a blue background " + "and " * 60 + "a yellow star"
    short = demo.picture(PROMPT="a red circle on a blue background", SEED=1, STEPS=6).image
    long = demo.picture(PROMPT=long_prompt, SEED=1, STEPS=6).image
    assert not np.array_equal(short, long)


def test_an_absent_setting_is_the_familys_default(demo: FamilyClient) -> None:
    made = demo.picture(PROMPT="a red star", SEED=5)
    assert made.image.shape == (128, 128, 3)
    assert (made.info["steps"], made.info["sampler"], made.info["guidance_scale"]) == (20, "ddim", 5.0)
    assert made.info["seed"] == 5 and made.info["version"] >= 1


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"STEPS": 0}, "STEPS is 0; it must be from 1 to 100."),
        ({"SAMPLER": "nope"}, "SAMPLER is 'nope'; it must be one of ddim, euler"),
        ({"WIDTH": 100}, "WIDTH is 100; it must be a multiple of 32 from 64 to 256."),
        ({"GUIDANCE_SCALE": float("nan")}, "GUIDANCE_SCALE is nan"),
        ({"SEED": -1}, "SEED is -1; it must be from 0 to 4294967295."),
        ({"SAMPLER": "lcm", "STEPS": 80}, "lcm"),
    ],
)
def test_bad_settings_are_refused_in_words(demo: FamilyClient, inputs: dict[str, Any], sentence: str) -> None:
    with pytest.raises(triton_grpc.InferenceServerException, match=sentence.replace("(", r"\(")) as caught:
        demo.picture(**{"PROMPT": "a red star", "SEED": 1, **inputs})
    assert "StatusCode.INVALID_ARGUMENT" in str(caught.value)


def test_invalid_utf8_is_refused(demo: FamilyClient) -> None:
    with pytest.raises(triton_grpc.InferenceServerException, match="UTF-8"):
        demo.picture(PROMPT=b"\xff\xfe", SEED=1)


def test_a_passed_deadline_ends_the_generation(demo: FamilyClient) -> None:
    with pytest.raises(triton_grpc.InferenceServerException, match="deadline exceeded"):
        demo.picture(request_id="hurried", timeout_us=50_000, PROMPT="a red star", SEED=1, STEPS=100)
    status = demo.control(op="status", ids=["hurried"])
    assert status == {"active": 0, "waiting": 0, "generations": {"hurried": {"state": "unknown"}}}


@pytest.mark.parametrize("reserve", ["soon", -1])
def test_a_reserve_that_is_no_time_is_refused_in_words(demo: FamilyClient, reserve: Any) -> None:
    inputs = [tensor("PROMPT", "a red star"), tensor("SEED", 1), tensor("STEPS", 1)]
    with pytest.raises(triton_grpc.InferenceServerException, match=r"request parameter reserve is .* microseconds"):
        demo.client.infer("demo", inputs, parameters={"reserve": reserve})


def test_a_client_that_goes_away_from_the_unet_ends_its_generation(demo: FamilyClient) -> None:
    """Triton tells a model of its own callers' cancellation; through an ensemble it does not (server#6739)."""
    embeddings = np.zeros((48, 128), np.float32)
    inputs = [
        tensor("PROMPT_EMBEDDINGS", embeddings),
        tensor("NEGATIVE_PROMPT_EMBEDDINGS", embeddings),
        tensor("SEED", 1),
        tensor("STEPS", 100),
    ]
    answers: list[Any] = []
    call = demo.client.async_infer(
        "demo_unet", inputs, callback=lambda result, error: answers.append(error), request_id="gone"
    )
    while demo.control(op="status", ids=["gone"])["generations"]["gone"]["state"] != "running":
        pass
    call.cancel()
    while demo.control(op="status", ids=["gone"])["active"]:
        pass
    steps = demo.control(op="record", last=200)["steps"]
    assert sum("gone" in step["ids"] for step in steps) < 100
