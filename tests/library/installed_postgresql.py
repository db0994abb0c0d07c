"""Whether there is a PostgreSQL to test with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.library.postgresql_server import programs


def programs_or_skip() -> Path:
    """The folder of its programs. `.ci/run` installs it and has its absence fail; elsewhere the test is skipped."""
    found = programs()
    if found is not None:
        return found
    advice = "PostgreSQL is not installed: apt-get install postgresql"
    if os.environ.get("STARWEAVE_TEST_POSTGRESQL") == "required":
        pytest.fail(advice)
    pytest.skip(advice)
