"""One real Triton and one real bridge for all tests of a session that need them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.grpc as triton_grpc

from standalone.bridge import Bridge
from standalone.client import MODELS, SERVICE, Health, connect, health
from standalone.ports import LOOPBACK, free_port
from standalone.stack import StackSettings
from standalone.triton import Triton, TritonPorts
from tests.triton.family_client import FamilyClient

START_SECONDS = 120.0
# The side of the upscaler's largest tile, in pixels.
UPSCALER_TILE = 112


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the model repository, with a row budget that does not depend on the machine and tiles that are small
    enough for a demo picture to have several."""
    folder = tmp_path_factory.mktemp("repository") / "model_repository"
    shutil.copytree(StackSettings().repository, folder)
    config = folder / "demo_unet" / "config.pbtxt"
    budget = 'parameters { key: "max_rows" value { string_value: "16" } }\n'
    config.write_text(config.read_text() + budget)
    config = folder / "upscaler_x2" / "config.pbtxt"
    text = config.read_text()
    assert text.count('string_value: "256"') == 1
    config.write_text(text.replace('string_value: "256"', f'string_value: "{UPSCALER_TILE}"'))
    return folder


@pytest.fixture(scope="session")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    """Triton on free ports on that repository: `catalog` is loaded, families are not."""
    server = Triton(repository, tmp_path_factory.mktemp("triton"), TritonPorts.free(17000, 17001, 17002))
    try:
        server.start()
        server.wait_until_ready(START_SECONDS, time.sleep)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def triton_url(triton: Triton) -> str:
    """host:port of Triton's gRPC service."""
    return triton.grpc_url


@pytest.fixture(scope="session")
def triton_client(triton_url: str) -> Iterator[triton_grpc.InferenceServerClient]:
    """A client of Triton."""
    with triton_grpc.InferenceServerClient(triton_url) as client:
        yield client


@pytest.fixture(scope="session")
def demo(triton_client: triton_grpc.InferenceServerClient) -> FamilyClient:
    """The demo family, loaded."""
    client = FamilyClient(triton_client)
    client.load()
    return client


@pytest.fixture(scope="session")
def bridge_address(triton: Triton, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a bridge on that Triton, its families loaded and ready."""
    bridge = Bridge(tmp_path_factory.mktemp("bridge"), LOOPBACK, free_port(17051), triton.grpc_url)
    try:
        bridge.start()
        _wait_until_serving(bridge)
        yield bridge.address
    finally:
        bridge.stop()


def _wait_until_serving(bridge: Bridge) -> None:
    deadline = time.monotonic() + START_SECONDS
    with connect(bridge.address) as channel:
        while not all(health(channel, service) is Health.SERVING for service in (SERVICE, MODELS)):
            if bridge.exit_status is not None or time.monotonic() > deadline:
                pytest.fail(f"the bridge did not become ready:\n{bridge.log_tail(40)}")
            time.sleep(0.1)
