"""A lock on a work folder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from standalone.errors import StackRunning


class LockFile:
    """A lock on a folder that ends with the process that holds it.

    Raises:
        StackRunning: another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise StackRunning(
                f"Another stack (process {holder}) runs from {path.parent}: "
                "stop it, or name another folder with --folder."
            ) from None
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def close(self) -> None:
        """Frees the lock."""
        self._file.close()
