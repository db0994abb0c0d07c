"""Traces with OpenTelemetry: one of the client's, the bridge's and Triton's spans.

The spans are made with OpenTelemetry's API, which does nothing until an SDK is set up: with the extra `tracing`, and
with the endpoint in the environment as OpenTelemetry names it (OTEL_EXPORTER_OTLP_ENDPOINT or ..._TRACES_ENDPOINT).
"""

import importlib.util
import logging
import os
from collections.abc import Iterable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

logger = logging.getLogger(__name__)

TRACER: Final = trace.get_tracer("starweave.bridge")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SERVICE_NAME = "starweave-bridge"
# Not the environment's choice: Triton reads W3C's `traceparent`, and a client's baggage is none of its business.
_PROPAGATOR = TraceContextTextMapPropagator()


def set_up_tracing() -> None:
    """Sends spans to the collector that the environment names, if it names one."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        logger.error("Traces are asked for but not installed: pip install -e '.[tracing]'.")
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": os.environ.get("OTEL_SERVICE_NAME") or _SERVICE_NAME})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def parent_of(metadata: Iterable[tuple[str, Any]] | None) -> Context:
    """The context that a client sent with its call (W3C `traceparent`), an empty one where it sent none."""
    return _PROPAGATOR.extract({key: value for key, value in metadata or () if isinstance(value, str)})


def outgoing_headers() -> dict[str, str]:
    """Headers that make the current span the parent of Triton's; none where nothing is traced."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers
