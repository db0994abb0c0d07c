"""Whether Triton loads every family: it is started on ports of its own, asked to, and stopped again."""

from __future__ import annotations

import json
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from standalone.doctor.finding import Finding
from standalone.errors import StartFailed
from standalone.triton import Triton, TritonPorts

_READY_SECONDS = 120.0
_LOAD_SECONDS = 600.0


def examine(repository: Path, pause: Callable[[float], object] = time.sleep) -> Iterator[Finding]:
    """Loads the ensembles of the repository one by one; `pause(seconds)` is called while waiting and may raise."""
    with tempfile.TemporaryDirectory() as folder:
        triton = Triton(repository, Path(folder), TritonPorts.free())
        try:
            triton.start()
            triton.wait_until_ready(_READY_SECONDS, pause)
            for ensemble in _ensembles(repository):
                yield _load(triton, ensemble)
        except StartFailed as error:
            yield Finding.wrong("Start", error.message)
        finally:
            triton.kill()


def _ensembles(repository: Path) -> list[str]:
    configs = sorted(repository.glob("*/config.pbtxt"))
    return [path.parent.name for path in configs if "ensemble_scheduling" in path.read_text()]


def _load(triton: Triton, ensemble: str) -> Finding:
    request = urllib.request.Request(f"{triton.http_url}/v2/repository/models/{ensemble}/load", b"{}")
    try:
        with urllib.request.urlopen(request, timeout=_LOAD_SECONDS):
            return Finding.well("Load", f"Triton loads {ensemble} with all its models.")
    except urllib.error.HTTPError as error:
        answer: dict[str, Any] = json.loads(error.read())
        return Finding.wrong("Load", f"Triton cannot load {ensemble}: {answer['error']}")
    except OSError as error:
        return Finding.wrong("Load", f"Triton did not load {ensemble}: {error}. Its log ends:\n{triton.log_tail()}")
