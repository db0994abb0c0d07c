"""Whether this machine can run the image server.

Standard library only, and no syntax newer than Python 3.7: `make` runs this file with whatever Python it finds, before
anything is installed.
"""

from __future__ import annotations

import platform
import sys
from typing import NamedTuple, Optional, Tuple  # noqa: UP035 (read by older Pythons)


class Machine(NamedTuple):
    """What decides whether Triton and its packages exist for a machine.

    `system` and `architecture` are `platform.system()` and `platform.machine()`; `python` is (major, minor).
    """

    system: str
    architecture: str
    python: Tuple[int, int]  # noqa: UP006

    @classmethod
    def current(cls) -> Machine:
        """The machine and Python that run this code."""
        return cls(platform.system(), platform.machine(), sys.version_info[:2])

    def problem(self) -> Optional[str]:  # noqa: UP045
        """One sentence that says why this machine cannot run the server and what to do; None where it can."""
        if self.system != "Linux" or self.architecture != "x86_64":
            return (
                f"The image server runs on x86-64 Linux, and this is {self.system} on {self.architecture}: "
                "use an x86-64 Linux machine or virtual machine."
            )
        if self.python not in ((3, 11), (3, 12)):
            return (
                f"The image server needs Python 3.11 or 3.12, and this is Python {self.python[0]}.{self.python[1]}: "
                "install one of them, or name it as in `make demo PYTHON=/usr/bin/python3.11`."
            )
        return None


if __name__ == "__main__":
    sys.exit(Machine.current().problem())
