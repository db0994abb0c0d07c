"""A small file system of its own, for a disk that runs full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SIZE = "32m"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 32 MiB in memory at `folder`. Raises CalledProcessError where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield folder
    finally:
        # Lazily: a log may be open for a moment longer.
        subprocess.run(["umount", "--lazy", folder], check=True)
