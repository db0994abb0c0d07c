"""Takes traces as an OpenTelemetry collector does, over HTTP."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf import json_format
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

    def take(self, body: bytes, content_type: str) -> None:
        """Keeps the spans of one export."""
        exported = _document(body) if content_type == "application/json" else _decoded(body)
        for resource in exported["resourceSpans"]:
            service = _values(resource["resource"]["attributes"]).get("service.name", "")
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                ids = span["traceId"].lower(), span["spanId"].lower(), span.get("parentSpanId", "").lower()
                self._spans.append(Span(service, span["name"], *ids, _values(span.get("attributes", []))))


@contextmanager
def collecting() -> Iterator[tuple[TraceCollector, str]]:
    """A collector and its base URL."""
    collector = TraceCollector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(body, self.headers["Content-Type"])
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


def _document(body: bytes) -> dict[str, Any]:
    """Triton's exporter sends JSON, with ids in hexadecimal (OTLP's own JSON)."""
    document: dict[str, Any] = json.loads(body)
    return document


def _decoded(body: bytes) -> dict[str, Any]:
    """The bridge's exporter sends protobuf, of which the same document is made."""
    document: dict[str, Any] = json_format.MessageToDict(ExportTraceServiceRequest.FromString(body))
    for span in (
        span for resource in document["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]
    ):
        for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
            span[key] = base64.b64decode(span[key]).hex()
    return document


def _values(attributes: list[dict[str, Any]]) -> dict[str, str]:
    return {each["key"]: str(next(iter(each["value"].values()), "")) for each in attributes}
