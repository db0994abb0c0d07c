"""Faults of a redeploy."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from pathlib import Path

from benchmarks.faults.processes import FaultFailed
from benchmarks.faults.server import SupervisedServer

_SECONDS = 60.0


async def broken_version(server: SupervisedServer, size: float) -> None:
    """A version 2 whose UNet is no graph is activated, and taken back once Triton has refused it."""
    repository = server.repository
    configs = {path: path.read_text() for path in sorted(repository.glob("demo*/config.pbtxt"))}
    ensembles = {path: config for path, config in configs.items() if 'platform: "ensemble"' in config}
    models = [path.parent for path in configs if path not in ensembles]
    log = server.folder / "work" / "bridge.log"
    told = log.stat().st_size
    for model in models:
        shutil.copytree(model / "1", server.folder / "staged")
        if model.name == "demo_unet":
            (server.folder / "staged" / "model.onnx").write_bytes(b"no graph")
        shutil.move(server.folder / "staged", model / "2")
    for path, config in ensembles.items():
        pinned = re.sub(r"model_version: \d+", "model_version: 2", config)
        _replace(path, re.sub(r'(key: "version"\s+value {\s+string_value: )"1"', r'\1"2"', pinned))
    try:
        deadline = time.monotonic() + _SECONDS
        while b"version 2 could not be loaded" not in log.read_bytes()[told:]:
            if time.monotonic() > deadline:
                raise FaultFailed("the bridge did not say that version 2 could not be loaded")
            await asyncio.sleep(0.2)
    finally:
        for path, config in ensembles.items():
            _replace(path, config)
        for model in models:
            shutil.rmtree(model / "2")


def _replace(path: Path, text: str) -> None:
    """In one go: Triton never reads half a file."""
    part = path.with_name(".config.part")
    part.write_text(text)
    part.replace(path)
