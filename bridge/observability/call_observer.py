"""Measures and traces calls, from a request's first byte to the last message of the answer."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.trace import SpanKind, Status, StatusCode

from bridge.observability.metrics import Metrics
from bridge.observability.tracing import TRACER, parent_of

Metadata = Iterable[tuple[str, Any]] | None


@dataclass(slots=True)
class ObservedCall:
    """A call under way; `code` is what its client is told in the end."""

    code: grpc.StatusCode = grpc.StatusCode.OK


class CallObserver:
    """Counts calls, and makes each the parent span of all that is done for it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    @contextmanager
    def observe(self, method: str, size: int, metadata: Metadata, request_id: str) -> Iterator[ObservedCall]:
        """Observes one call; `method` is its full name, `/package.Service/Method`, `size` its request's bytes."""
        service, _, name = method.removeprefix("/").partition("/")
        call = ObservedCall()
        started = time.monotonic()
        metrics = self._metrics
        metrics.request_bytes.labels(name).observe(size)
        metrics.calls_under_way.labels(name).inc()
        attributes = {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": name,
            "starweave.request_id": request_id,
        }
        parent = parent_of(metadata)
        try:
            with TRACER.start_as_current_span(f"{service}/{name}", parent, SpanKind.SERVER, attributes) as span:
                try:
                    yield call
                finally:
                    span.set_attribute("rpc.grpc.status_code", call.code.value[0])
                    if call.code is not grpc.StatusCode.OK:
                        span.set_status(Status(StatusCode.ERROR, call.code.name))
        finally:
            metrics.calls_under_way.labels(name).dec()
            metrics.calls.labels(name, call.code.name).inc()
            metrics.call_seconds.labels(name).observe(time.monotonic() - started)
