"""A part of `make verify`: a module that checks one thing at full count."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.results import Machine, now
from benchmarks.verify import parts
from benchmarks.verify.findings import Findings


@dataclass(frozen=True, slots=True)
class Part:
    """One module of `parts/`."""

    name: str
    module: ModuleType

    @classmethod
    def all(cls) -> list[Part]:
        """Every part, by name."""
        names = sorted(module.name for module in pkgutil.iter_modules(parts.__path__))
        return [cls(name, importlib.import_module(f"{parts.__name__}.{name}")) for name in names]

    def run(self, say: Callable[[str], None]) -> dict[str, Any]:
        """Runs it in a folder of its own, and returns its entry of the report as JSON values.

        A part that raises has failed; the others are run all the same.
        """
        machine, began, before = Machine.here(), now(), time.monotonic()
        findings, error = Findings(()), ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                findings = self.module.run(Path(folder), say)
            except Exception:
                error = traceback.format_exc()
        return {
            "title": (inspect.getdoc(self.module) or "").partition("\n")[0],
            "began": str(began),
            "seconds": time.monotonic() - before,
            "machine": asdict(machine),
            "held": not error and all(check.held for check in findings.checks),
            "error": error,
            **asdict(findings),
        }
