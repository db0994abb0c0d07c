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
TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
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
    """The answer to a call that belongs to a client's trace."""
    _, bridge = observed
    deadline = time.monotonic() + SECONDS
    with grpc.insecure_channel(bridge.address) as channel:
        while health(channel, SERVICE) is not Health.SERVING:
            assert time.monotonic() < deadline, bridge.log_tail(40)
            time.sleep(0.1)
        stub = starweave_pb2_grpc.ImageGenerationServiceStub(channel)
        settings = starweave_pb2.ImageSettings(width=64, height=64, steps=4, seed=1)
        return stub.GenerateImage(
            starweave_pb2.ImageRequest(prompt=PROMPT, settings=settings),
            metadata=[("traceparent", f"00-{TRACE}-{CLIENT_SPAN}-01"), ("x-api-key", KEY.key)],
        )


def test_one_trace_joins_the_client_the_bridge_and_triton(
    response: Any, collector_url: tuple[TraceCollector, str]
) -> None:
    assert response.error == ""
    collector, _ = collector_url
    deadline = time.monotonic() + SECONDS
    spans: list[Span] = []
    # Triton sends its own when its ensemble has ended, the bridge its call's as the last.
    while not (_named(spans, "demo_unet") and _named(spans, "starweave.ImageGenerationService/GenerateImage")):
        assert time.monotonic() < deadline, [(span.service, span.name) for span in spans]
        time.sleep(0.1)
        spans = collector.spans(TRACE)
    by_id = {span.id: span for span in spans}
    (call,) = _named(spans, "starweave.ImageGenerationService/GenerateImage")
    assert (call.service, call.parent) == ("starweave-bridge", CLIENT_SPAN)
    assert call.attributes["starweave.request_id"] == response.request_id
    (triton,) = _named(spans, "triton")
    unet = _named(spans, "demo_unet")[0]
    assert unet.service == "triton"
    way = [unet]
    while way[-1].parent in by_id:
        way.append(by_id[way[-1].parent])
    assert [triton.id, by_id[triton.parent].id, call.id] == [span.id for span in way[-3:]]
    assert by_id[triton.parent].attributes["starweave.family"] == "demo"
    assert response.request_id in {
        value for span in spans if span.service == "triton" for value in span.attributes.values()
    }


def test_the_log_is_json_with_the_ids_and_without_secrets(response: Any, observed: tuple[Triton, Bridge]) -> None:
    triton, bridge = observed
    entries = [json.loads(line) for line in bridge.log.read_text().splitlines()]
    (made,) = [entry for entry in entries if entry["request_id"] == response.request_id]
    assert (made["level"], made["trace_id"], made["family"]) == ("INFO", TRACE, "demo")
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


def _named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]
