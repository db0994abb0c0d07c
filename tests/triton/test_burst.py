"""A mixed burst: every good request answered correctly, every bad one with its reason, nothing left behind."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
from diffusion_engine.samplers import SAMPLERS

from tests.triton.family_client import FamilyClient, Made

REQUESTS = 64
CANCELLED = 6
LARGEST_DIFFERENCE = 2
BAD: list[tuple[dict[str, Any], str]] = [
    ({"STEPS": 0}, "STEPS is 0"),
    ({"SAMPLER": "nope"}, "SAMPLER is 'nope'"),
    ({"GUIDANCE_SCALE": float("inf")}, "GUIDANCE_SCALE is inf"),
]
COLORS = ("red", "yellow", "green", "blue", "white", "pink")


def good_inputs(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Settings of many kinds: all samplers, 4 to 40 steps, guidance 1 to 12, two sizes."""
    samplers = list(SAMPLERS)
    return [
        {
            "PROMPT": f"a {rng.choice(COLORS)} star on a black background",
            "SEED": rng.randrange(2**32),
            "STEPS": rng.randint(4, 40),
            "GUIDANCE_SCALE": rng.choice([1.0, rng.uniform(1, 12)]),
            "SAMPLER": samplers[index % len(samplers)],
            "WIDTH": rng.choice([64, 128]),
            "HEIGHT": 64,
        }
        for index in range(count)
    ]


def test_a_mixed_burst_loses_nothing(demo: FamilyClient) -> None:
    rng = random.Random(7)
    distinct = good_inputs(rng, 12)
    alone = [demo.picture(**inputs).image for inputs in distinct]

    pool = ThreadPoolExecutor(REQUESTS)
    bad: list[tuple[Future[Made], str]] = []
    good: list[tuple[Future[Made], int]] = []
    for index in range(REQUESTS - CANCELLED - len(BAD)):
        chosen = index % len(distinct)
        good.append((pool.submit(demo.picture, request_id=f"good-{index}", **distinct[chosen]), chosen))
    for index, (change, sentence) in enumerate(BAD):
        bad.append((pool.submit(demo.picture, request_id=f"bad-{index}", **{**distinct[index], **change}), sentence))
    cancelled = [
        pool.submit(cancel_midway, demo, f"cancelled-{index}", {**distinct[index], "STEPS": 40, "SAMPLER": "ddim"})
        for index in range(CANCELLED)
    ]

    for future, chosen in good:
        difference = np.abs(future.result().image.astype(int) - alone[chosen].astype(int)).max()
        assert difference <= LARGEST_DIFFERENCE
    for future, sentence in bad:
        error = future.exception()
        assert isinstance(error, triton_grpc.InferenceServerException) and sentence in str(error)
    for outcome in cancelled:
        name, error, known_step = outcome.result()
        assert isinstance(error, triton_grpc.InferenceServerException) and "CANCELLED" in str(error)
        took_part = [step["index"] for step in demo.control(op="record", last=4096)["steps"] if name in step["ids"]]
        assert 1 <= len(took_part) < 40, "the cancel came midway"
        assert sum(index > known_step for index in took_part) <= 1, "it left within one step of its cancel"
    pool.shutdown()
    status = demo.control(op="status", ids=[])
    assert (status["active"], status["waiting"]) == (0, 0)


def cancel_midway(demo: FamilyClient, name: str, inputs: dict[str, Any]) -> tuple[str, BaseException | None, int]:
    """Cancels a generation once it takes steps; the newest step's index is read after the cancel was answered."""
    errors: list[BaseException | None] = []

    def generate() -> None:
        try:
            demo.picture(request_id=name, **inputs)
            errors.append(None)
        except triton_grpc.InferenceServerException as error:
            errors.append(error)

    thread = threading.Thread(target=generate)
    thread.start()
    while True:
        standing = demo.control(op="status", ids=[name])["generations"][name]
        if standing.get("step", 0) >= 2:
            break
        time.sleep(0.005)
    answer = demo.control(op="cancel", ids=[name])
    known_step = demo.control(op="record", last=1)["steps"][-1]["index"]
    assert answer["cancelled"] == [name]
    thread.join()
    return name, errors[0], known_step
