"""Programs of Debian's packages that tests run."""

from __future__ import annotations

import os
import shutil

import pytest

# Debian keeps PostgreSQL's servers off PATH.
_FOLDERS = ":".join([os.environ["PATH"], "/usr/lib/postgresql/15/bin", "/usr/sbin"])


def program(name: str) -> str:
    """The path of a program. Where it is not installed the test is skipped; in CI, which installs it, it fails."""
    found = shutil.which(name, path=_FOLDERS)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed: .ci/run has to install it")
    if found is None:
        pytest.skip(f"{name} is not installed: `apt-get install prometheus redis-server postgresql libfaketime`")
    return found
