"""One picture as an operator sees it: in the traces of bridge and Triton, in the log, in the metrics."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.security.api_keys import new_key
from protos import starweave_pb2, starweave_pb2_grpc
from standalone.bridge import Bridge
from standalone.client import SERVICE, Health, health
from standalone.ports import LOOPBACK, free_port
from standalone.triton import Triton, TritonPorts
from tests.triton.trace_collector import Span, TraceCollector, collecting

SECONDS = 120.0
# Triton's exporter has been seen to lose all spans of a request, once in hundreds; then another one is asked for.
TRACES = [f"0af7651916cd43dd8448eb211c80319{digit}" for digit in "cde"]
CLIENT_SPAN = "b7ad6b7169203331"
TRACE_SECONDS = 30.0
PROMPT = "a red circle nobody else may read of"
KEY = new_key("painter")


@pytest.fixture(scope="module")
def collector_url() -> Iterator[tuple[TraceCollector, str]]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def observed(
    collector_url: tuple[TraceCollector, str], repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Triton, Bridge]]:
    """A pair that is traced, asks for a key and logs JSON; set up by the environment, as in a container."""
    folder = tmp_path_factory.mktemp("observed")
    (folder / "keys").write_text(KEY.line)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector_url[1])
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        environment.setenv("STARWEAVE_LOG_FORMAT", "json")
        environment.setenv("STARWEAVE_API_KEYS_FILE", str(folder / "keys"))
        triton = Triton(repository, folder, TritonPorts.free(18100, 18101, 18102))
        bridge = Bridge(folder, LOOPBACK, free_port(18151), triton.grpc_url, free_port(18152))
        try:
            triton.start()
            triton.wait_until_ready(SECONDS, time.sleep)
            bridge.start()
            yield triton, bridge
        finally:
            bridge.stop()
            triton.stop()


@pytest.fixture(scope="module")
def response(observed: tuple[Triton, Bridge]) -> Any:
    """The answer to the first call, once the pair serves."""
    _, bridge = observed
    deadline = time.monotonic() + SECONDS
    with grpc.insecure_channel(bridge.address) as channel:
        while health(channel, SERVICE) is not Health.SERVING:
            assert time.monotonic() < deadline, bridge.log_tail(40)
            time.sleep(0.1)
    return ask(bridge, TRACES[0])


def test_the_log_is_json_with_the_ids_and_without_secrets(response: Any, observed: tuple[Triton, Bridge]) -> None:
    triton, bridge = observed
    entries = [json.loads(line) for line in bridge.log.read_text().splitlines()]
    (made,) = [entry for entry in entries if entry["request_id"] == response.request_id]
    assert (made["level"], made["trace_id"], made["family"]) == ("INFO", TRACES[0], "demo")
    for log in (bridge.log, triton.log):
        assert PROMPT not in log.read_text()
        assert KEY.key not in log.read_text()


def test_the_metrics_count_the_picture_and_its_parts(response: Any, observed: tuple[Triton, Bridge]) -> None:
    _, bridge = observed
    with urllib.request.urlopen(f"http://{LOOPBACK}:{bridge.metrics_port}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = {(each.name, *sorted(each.labels.values())): each.value for family in families for each in family.samples}
    prefix = "starweave_bridge_"
    assert samples[f"{prefix}pictures_total", "OK", "demo", "text-to-image"] == 1
    assert samples[f"{prefix}key_pictures_total", "OK", "painter"] == 1
    assert samples[f"{prefix}calls_total", "GenerateImage", "OK"] == 1
    assert samples[f"{prefix}pixels_total", "demo"] == 64 * 64
    assert samples[f"{prefix}family_ready", "1", "demo"] == 1
    assert samples[f"{prefix}pictures_under_way",] == 0
    stages = {
        stage: samples[f"{prefix}stage_seconds_sum", "demo", stage]
        for stage in ("waiting", "denoising", "triton", "encode")
    }
    assert 0 < stages["denoising"] < stages["triton"]
    assert samples[f"{prefix}picture_seconds_sum", "demo", "text-to-image"] > stages["triton"] + stages["encode"]


def test_one_trace_joins_the_client_the_bridge_and_triton(
    response: Any, observed: tuple[Triton, Bridge], collector_url: tuple[TraceCollector, str]
) -> None:
    collector, _ = collector_url
    for trace in TRACES:
        asked = response if trace == TRACES[0] else ask(observed[1], trace)
        assert asked.error == ""
        way = _way(collector, trace)
        if way:
            break
    assert [span.name for span in way[-3:]] == ["triton", "picture", "starweave.ImageGenerationService/GenerateImage"]
    assert {span.service for span in way[-3:]} == {"starweave-bridge"}
    assert {span.service for span in way[:-3]} == {"triton"}
    assert way[-1].attributes["starweave.request_id"] == asked.request_id
    assert way[-2].attributes["starweave.family"] == "demo"
    assert asked.request_id in {value for span in way[:-3] for value in span.attributes.values()}


def ask(bridge: Bridge, trace: str) -> Any:
    """The answer to a call that belongs to a client's trace."""
    with grpc.insecure_channel(bridge.address) as channel:
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        settings = starweave_pb2.ImageSettings(width=64, height=64, steps=4, seed=1)
        return stub.GenerateImage(
            starweave_pb2.ImageRequest(prompt=PROMPT, settings=settings),
            metadata=[("traceparent", f"00-{trace}-{CLIENT_SPAN}-01"), ("x-api-key", KEY.key)],
        )


def _way(collector: TraceCollector, trace: str) -> list[Span]:
    """The spans from the UNet's up to that of the client's call, once all are there; none where that takes too long."""
    deadline = time.monotonic() + TRACE_SECONDS
    while time.monotonic() < deadline:
        by_id = {span.id: span for span in collector.spans(trace)}
        way = [span for span in by_id.values() if span.name == "demo_unet"][:1]
        while way and way[-1].parent in by_id:
            way.append(by_id[way[-1].parent])
        if way and way[-1].parent == CLIENT_SPAN:
            return way
        time.sleep(0.1)
    return []
