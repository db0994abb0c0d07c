"""Whether a call uses the library: its answer may come from there, and is kept there."""

from collections.abc import Iterable
from contextvars import ContextVar

# A client that must not be answered from the library, nor leave anything in it, sends "off": a health check.
LIBRARY_KEY = "starweave-library"

# Set for each call; tasks that a call starts inherit it.
uses_library: ContextVar[bool] = ContextVar("uses_library", default=True)


def wants_library(metadata: Iterable[tuple[str, str | bytes]]) -> bool:
    """Tells whether a call with this metadata wants it."""
    return (LIBRARY_KEY, "off") not in [tuple(entry) for entry in metadata]
