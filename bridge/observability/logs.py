"""Logging: one line for each picture, marked with the ids of its request and trace."""

import logging
import sys
from contextvars import ContextVar
from typing import Literal

from opentelemetry import trace
from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["text", "json"]

# Set for each call; tasks that a call starts inherit it. Triton, its engine and its traces know the request by it.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

_JSON_FIELDS = ("timestamp", "levelname", "name", "request_id", "trace_id", "message")


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        span = trace.get_current_span().get_span_context()
        record.trace_id = trace.format_trace_id(span.trace_id) if span.is_valid else ""
        return True


def set_up_logging(level: str, log_format: LogFormat) -> None:
    """Writes the bridge's log to standard error, as lines of text or of JSON."""
    # What no line tells need not be found out ("Optimization" in Python's logging HOWTO).
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RequestIdFilter())
    handler.setFormatter(_formatter(log_format))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _formatter(log_format: LogFormat) -> logging.Formatter:
    if log_format == "json":
        return JsonFormatter(
            _JSON_FIELDS,
            timestamp=True,
            rename_fields={"levelname": "level", "name": "logger"},
        )
    return logging.Formatter("%(asctime)s %(levelname)s %(request_id)s %(message)s")
