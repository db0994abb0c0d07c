"""Measuring what a UNet step costs on this machine, once for every graph, device and library version."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffusion_engine.session import UNetSession

_RUNS = 20
_ROWS = (1, 2, 4, 8, 16, 32)
# What one row count may take: a UNet of seconds a row is measured in fewer runs, and in fewer row counts.
_SECONDS_A_COUNT = 3.0
# CLIP's window. The text's length hardly matters to a step's cost.
_TOKENS = 77

log = logging.getLogger(__name__)


def cost_curve(
    session: UNetSession, latent_size: tuple[int, int], cache: Path, limit: int | None = None
) -> dict[int, float]:
    """Seconds of a step by its rows, up to `limit`, at the native latent height and width.

    Read from `cache` where this very session was measured before; else measured, as the median of up to 20 runs for
    each row count, and kept there. A cache that can't be written costs the next start the same measurement.
    """
    rows = [each for each in _ROWS if limit is None or each <= limit]
    key = hashlib.sha256(repr((session.fingerprint, latent_size, rows)).encode()).hexdigest()
    file = cache / f"{key[:32]}.json"
    try:
        stored = json.loads(file.read_text())
        return {int(rows): float(seconds) for rows, seconds in stored.items()}
    except (OSError, ValueError, AttributeError):
        curve = _measure(session, latent_size, rows)
    _write(file, json.dumps(curve))
    return curve


def _measure(session: UNetSession, latent_size: tuple[int, int], row_counts: Sequence[int]) -> dict[int, float]:
    runs: dict[int, list[float]] = {}
    for rows in row_counts:
        runs[rows] = []
        if _seconds(session, latent_size, rows) > _SECONDS_A_COUNT / 3:
            break
    began = time.perf_counter()
    # In turns: what else the machine does, such as loading other models, then meets all row counts alike.
    for _ in range(_RUNS):
        for rows, seconds in runs.items():
            seconds.append(_seconds(session, latent_size, rows))
        if time.perf_counter() - began > _SECONDS_A_COUNT * len(runs):
            break
    return {rows: statistics.median(seconds) for rows, seconds in runs.items()}


def _seconds(session: UNetSession, latent_size: tuple[int, int], rows: int) -> float:
    sample = np.zeros((rows, session.sample_channels, *latent_size), np.float32)
    timestep = np.full(rows, 500, np.float32)
    conditions = {
        name: np.zeros((rows, *(length or _TOKENS for length in shape)), np.float32)
        for name, shape in session.condition_shapes.items()
    }
    before = time.perf_counter()
    session.run(sample, timestep, conditions)
    return time.perf_counter() - before


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as part:
            part.write(text)
        # Another model process may be writing the same file.
        os.replace(part.name, file)
    except OSError as error:
        log.warning("the step costs could not be kept in %s: %s", file, error)
