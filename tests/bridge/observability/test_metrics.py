"""The metrics are what the README says, and are served where Prometheus reads them."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.observability.metrics import Metrics, metrics_table
from bridge.observability.metrics_server import MetricsServer


def test_every_metric_of_the_registry_is_described() -> None:
    metrics = Metrics()
    described = {(each.name.removesuffix("_total"), each.kind) for each in metrics.descriptions}
    assert {(family.name, family.type) for family in metrics.registry.collect()} == described
    table = metrics_table()
    assert all(f"| `{each.name}` | {each.kind} | {each.description} | " in table for each in metrics.descriptions)


def test_they_are_served() -> None:
    metrics = Metrics()
    metrics.pictures.labels("demo", "text-to-image", "OK").inc()
    server = MetricsServer(metrics, "127.0.0.1", 0)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        with pytest.raises(OSError):
            MetricsServer(metrics, "127.0.0.1", server.port)
    finally:
        server.close()
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["starweave_bridge_pictures_total", "OK", "demo", "text-to-image"] == 1
    assert not any(name.endswith("_created") for name, *_ in samples)
