"""The bridge's log: lines that a machine can read, with the ids that join them."""

import json
import logging
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider

from bridge.observability import logs


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> logging.Handler:
    taken: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda handlers, **_: taken.extend(handlers))
    logs.set_up_logging("info", "json")
    return taken[0]


def line(handler: logging.Handler, record: logging.LogRecord) -> dict[str, object]:
    handler.filter(record)
    read: dict[str, object] = json.loads(handler.format(record))
    return read


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("bridge.pipeline", logging.INFO, "pipeline.py", 1, message, arguments, None)


def test_a_line_of_json_says_which_request_and_trace_it_belongs_to(handler: logging.Handler) -> None:
    token = logs.request_id.set("abc123")
    with TracerProvider().get_tracer("test").start_as_current_span("call") as span:
        entry = record("made in %d ms\n%s", 12, "second line")
        entry.family = "demo"
        read = line(handler, entry)
    logs.request_id.reset(token)
    assert "timestamp" in read
    assert (read["level"], read["logger"], read["request_id"]) == ("INFO", "bridge.pipeline", "abc123")
    assert read["trace_id"] == f"{span.get_span_context().trace_id:032x}"
    assert (read["message"], read["family"]) == ("made in 12 ms\nsecond line", "demo")


def test_outside_of_a_call_there_are_no_ids(handler: logging.Handler) -> None:
    read = line(handler, record("starting"))
    assert (read["request_id"], read["trace_id"]) == ("-", "")


@pytest.mark.parametrize("arguments", [["--api-keys-file=nowhere"], ["--limits-url=ftp://x"]])
def test_a_setting_of_no_use_ends_the_start_with_a_sentence(arguments: list[str]) -> None:
    run = subprocess.run([sys.executable, "-m", "bridge", "--port=0", *arguments], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("The bridge cannot start: ")
    assert "Traceback" not in run.stderr
