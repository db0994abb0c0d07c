"""How a picture ended is counted once, by the family that served it; its prompt stays out of the log."""

import asyncio
import logging

import grpc
import pytest

from bridge.dropped_text import DroppedText
from bridge.errors import BridgeError, DeadlineExceeded, Overloaded
from bridge.observability.metrics import Metrics
from bridge.observability.picture_observer import PictureObserver
from bridge.recovery.fallback import FallbackReason
from bridge.validation import validate
from protos import starweave_pb2
from tests.bridge.families import family

GENERATION = validate(starweave_pb2.ImageRequest(prompt="a secret fox"), family())
INFO = {"waiting_ms": 100.0, "denoising_ms": 250.0}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"starweave_bridge_{name}", labels)


@pytest.mark.parametrize("log_prompts", [False, True])
def test_a_finished_picture(log_prompts: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    metrics = Metrics()
    with PictureObserver(metrics, log_prompts).observe(GENERATION, "app") as picture:
        with picture.stage("triton"):
            pass
        picture.begun_again(GENERATION)
        picture.fell_back(FallbackReason.FAILED)
        picture.finished(1.5, 1000, INFO, DroppedText(prompt="fox"))
    labels = {"family": "fox", "capability": "text-to-image"}
    assert value(metrics, "pictures_total", **labels, code="OK") == 1
    assert value(metrics, "key_pictures_total", key="app", code="OK") == 1
    assert value(metrics, "picture_seconds_sum", **labels) == 1.5
    assert value(metrics, "stage_seconds_sum", family="fox", stage="denoising") == 0.25
    assert value(metrics, "stage_seconds_count", family="fox", stage="triton") == 1
    assert value(metrics, "pixels_total", family="fox") == 128 * 96
    assert value(metrics, "picture_bytes_total", family="fox", format="png") == 1000
    assert value(metrics, "retries_total", family="fox") == 1
    assert value(metrics, "fallbacks_total", family="fox", reason="failed") == 1
    assert value(metrics, "dropped_prompts_total", family="fox") == 1
    assert ("a secret fox" in caplog.text) is log_prompts


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Overloaded("Busy."), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (DeadlineExceeded("Late."), grpc.StatusCode.DEADLINE_EXCEEDED),
        (BridgeError("Broken."), grpc.StatusCode.INTERNAL),
        (KeyError("unexpected"), grpc.StatusCode.INTERNAL),
        (asyncio.CancelledError(), grpc.StatusCode.CANCELLED),
    ],
)
def test_a_picture_that_failed(error: BaseException, code: grpc.StatusCode) -> None:
    metrics = Metrics()
    with pytest.raises(type(error)), PictureObserver(metrics, False).observe(GENERATION, ""):
        raise error
    assert value(metrics, "pictures_total", family="fox", capability="text-to-image", code=code.name) == 1
    assert value(metrics, "pictures_total", family="fox", capability="text-to-image", code="OK") is None
