"""Logging: one line for each picture, marked with the id of its request."""

import logging
import sys
from contextvars import ContextVar

# Set for each call; tasks that a call starts inherit it.
request_id: ContextVar[str] = ContextVar("request_id", default="-")


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


def set_up_logging(level: str) -> None:
    """Writes the bridge's log to standard error. Prompts are never logged."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RequestIdFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(request_id)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
