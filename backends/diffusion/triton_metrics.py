"""Publishes the engine's metrics through Triton, from a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

import triton_python_backend_utils as pb_utils
from diffusion_engine.engine import Engine
from diffusion_engine.metrics import METRICS, Kind, Metric, MetricReader, Sample

_INTERVAL_SECONDS = 0.5


class MetricPublisher:
    """Brings what is new in the engine's record to Triton's metrics port every half second.

    Every call of a metric is a round trip to the server's process (python_backend README, "Custom Metrics"), which
    neither a step nor `execute` should wait for.
    """

    def __init__(self, engine: Engine, model: str, version: int) -> None:
        self._reader = MetricReader(engine)
        self._labels = {"model": model, "version": str(version)}
        # Triton frees a family with its last reference, and its metrics with it.
        self._families = {metric.name: _family(metric) for metric in METRICS}
        self._metrics: dict[tuple[str, str | None], Any] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Publishes what is left and ends the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_SECONDS):
            self._publish()
        self._publish()

    def _publish(self) -> None:
        for sample in self._reader.read():
            metric = self._metric(sample)
            match sample.metric.kind:
                case Kind.COUNTER:
                    metric.increment(sample.value)
                case Kind.GAUGE:
                    metric.set(sample.value)
                case Kind.HISTOGRAM:
                    metric.observe(sample.value)

    def _metric(self, sample: Sample) -> Any:
        key = (sample.metric.name, sample.label)
        if key not in self._metrics:
            labels = dict(self._labels)
            if sample.metric.label is not None and sample.label is not None:
                labels[sample.metric.label] = sample.label
            buckets = {"buckets": list(sample.metric.buckets)} if sample.metric.buckets else {}
            self._metrics[key] = self._families[sample.metric.name].Metric(labels=labels, **buckets)
        return self._metrics[key]


def _family(metric: Metric) -> Any:
    return pb_utils.MetricFamily(
        name=metric.name, description=metric.description, kind=getattr(pb_utils.MetricFamily, metric.kind)
    )
