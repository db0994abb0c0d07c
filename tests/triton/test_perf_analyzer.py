"""NVIDIA's perf_analyzer against the real server."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from benchmarks.perf_analyzer import main
from tests.triton.family_client import FamilyClient


def test_perf_analyzer_measures_the_ensemble(demo: FamilyClient, triton_url: str, tmp_path: Path) -> None:
    results = tmp_path / "perf_analyzer.json"
    arguments = ["--triton-url", triton_url, "--concurrency", "4", "--requests", "8", "--results", str(results)]
    outcome = CliRunner().invoke(main, arguments)
    assert outcome.exit_code == 0, outcome.output
    (measurement,) = json.loads(results.read_text())["measurements"]
    assert measurement["concurrency"] == 4
    assert measurement["pictures_per_second"] > 0
    assert 0 < measurement["p50_ms"] <= measurement["p99_ms"]
