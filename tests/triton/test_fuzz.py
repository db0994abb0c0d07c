"""Whatever is sent to the bridge, it answers, in words for its user. (`make fuzz` sends far more.)"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from protos import starweave_pb2
from standalone.client import MODELS, SERVICE, Health, connect, health, image_service

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
SECONDS = 60.0
CALLS = "/starweave.ImageGenerationService/"
# Of code, files and libraries, none of which are a client's business.
INTERNAL = re.compile(
    r"Traceback|\.py\b|/(home|root|usr|tmp|opt|work)/|0x[0-9a-f]{6}|onnxruntime|InferenceServer|Stub process|StatusCode"
    r"|in ensemble|model_repository|config\.pbtxt|PIL\.|numpy|NoneType|KeyError|ValueError|TypeError|assert",
    re.IGNORECASE,
)
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=EXAMPLES <= 25,
)

integers = st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([-1, 0, 1, 64, 128]))
floats = st.floats(width=32)
TEXTS = ("", "\0", "a\x1b[2J", "\u202e", "x" * 5000, "a red circle")


def text(number: int) -> str:
    """By its number: Hypothesis tells of what it draws from, and warns where that is long."""
    return TEXTS[number]


texts = st.one_of(st.text(max_size=200), st.integers(0, len(TEXTS) - 1).map(text))
# What is valid must be small: steps and sides decide how long a picture takes.
image_settings = st.builds(
    starweave_pb2.ImageSettings,
    width=st.sampled_from([0, 64, 65, -1, 2**31 - 1]),
    height=st.sampled_from([0, 64, 7, 2**31 - 1]),
    steps=st.sampled_from([1, 2, 0, -1, 2**31 - 1]),
    guidance_scale=floats,
    seed=integers,
    style=texts,
    negative_prompt=texts,
    sampler=st.one_of(texts, st.just("euler_a")),
    output_format=st.one_of(texts, st.just("webp")),
    priority=integers,
    guidance_from=floats,
    guidance_until=floats,
)


def picture(format: str) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((64, 64)).save(file, format)
    return file.getvalue()


PICTURES = [picture(format) for format in ("PNG", "JPEG", "WEBP")]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A picture's file: whole, cut off, with some bytes changed, or no picture at all."""
    whole = bytearray(PICTURES[draw(st.integers(0, len(PICTURES) - 1))])
    for place in draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        whole[place] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        return draw(st.binary(max_size=64))
    return bytes(whole[: draw(st.integers(0, len(whole)))])


requests = st.builds(
    starweave_pb2.ImageRequest,
    prompt=texts,
    model=st.one_of(texts, st.just("demo")),
    settings=image_settings,
    user_id=texts,
    context=st.lists(texts, max_size=3),
    init_image=st.one_of(st.just(b""), files()),
    mask_image=st.one_of(st.just(b""), files()),
    strength=st.one_of(st.none(), floats),
    timeout_ms=st.sampled_from([0, 1, -1, 30_000]),
    previews=st.booleans(),
)


@pytest.fixture(scope="module")
def channel(bridge_address: str) -> Iterator[grpc.Channel]:
    """A channel to the session's bridge, which must be as well afterwards as before."""
    with connect(bridge_address) as channel:
        yield channel
        assert health(channel, SERVICE) is Health.SERVING
        assert health(channel, MODELS) is Health.SERVING
        whole = starweave_pb2.ImageSettings(width=64, height=64, steps=1)
        assert image_service(channel).GenerateImage(starweave_pb2.ImageRequest(prompt="x", settings=whole)).error == ""


def check(response: Any) -> None:
    """Either a picture or a sentence."""
    if response.error:
        # What the client itself has sent may be quoted.
        assert not INTERNAL.search(re.sub(r"'.*'", "", response.error, flags=re.DOTALL)), response.error
        assert response.image_data == b""
    else:
        Image.open(io.BytesIO(response.image_data)).verify()


@fuzzed
@given(requests)
def test_any_request_is_answered(channel: grpc.Channel, request: Any) -> None:
    check(image_service(channel).GenerateImage(request, timeout=SECONDS))


@fuzzed
@given(requests, integers, floats)
def test_any_request_for_variations_is_answered(
    channel: grpc.Channel, request: Any, number: int, strength: float
) -> None:
    call = image_service(channel).GenerateImageVariations(
        starweave_pb2.ImageVariationsRequest(base_request=request, num_variations=number, variation_strength=strength),
        timeout=SECONDS,
    )
    answers = list(call)
    assert 1 <= len(answers) <= 4
    for answer in answers:
        check(answer)


@fuzzed
@given(requests)
def test_any_request_for_a_stream_is_answered(channel: grpc.Channel, request: Any) -> None:
    messages = list(image_service(channel).GenerateImageStream(request, timeout=SECONDS))
    assert messages[-1].stage == starweave_pb2.ImageProgress.FINISHED
    check(messages[-1].result)


@fuzzed
@given(files(), st.one_of(st.just(b""), files()))
def test_any_picture_file_is_answered(channel: grpc.Channel, init_image: bytes, mask_image: bytes) -> None:
    request = starweave_pb2.ImageRequest(
        prompt="x",
        settings=starweave_pb2.ImageSettings(steps=2),
        init_image=init_image,
        mask_image=mask_image,
        strength=1.0,
    )
    check(image_service(channel).GenerateImage(request, timeout=SECONDS))


@fuzzed
@given(st.sampled_from(["GenerateImage", "GetImageModels", "Nothing"]), st.binary(max_size=200))
def test_any_bytes_are_answered(channel: grpc.Channel, method: str, message: bytes) -> None:
    """Which are no message of the protocol, or one of fields that are not known."""
    call = channel.unary_unary(CALLS + method, request_serializer=bytes, response_deserializer=bytes)
    try:
        answer = call(message, timeout=SECONDS)
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED)
        assert not INTERNAL.search(error.details()), error.details()
    else:
        if method == "GenerateImage":
            check(starweave_pb2.ImageResponse.FromString(answer))
