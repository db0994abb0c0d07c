"""Takes traces as an OpenTelemetry collector does, over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """One span; the ids are hexadecimal, `parent` is "" for none."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


class TraceCollector:
    """Keeps every span that it is sent."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    def spans(self, trace: str) -> list[Span]:
        """The spans of one trace so far."""
        return [span for span in list(self._spans) if span.trace == trace]

    def take(self, body: bytes) -> None:
        """Keeps the spans of one export."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _values(resource.resource.attributes).get("service.name", "")
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                self._spans.append(Span(service, span.name, *ids, _values(span.attributes)))


@contextmanager
def collecting() -> Iterator[tuple[TraceCollector, str]]:
    """A collector and its base URL."""
    collector = TraceCollector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield collector, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _values(attributes: object) -> dict[str, str]:
    return {each.key: each.value.string_value or str(each.value.int_value) for each in attributes}  # type: ignore[attr-defined]
