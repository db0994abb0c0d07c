"""Exports that are killed, a few; `make verify` kills more."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.verify.killed_exports import kill_exports


@pytest.mark.timeout(900)
def test_a_repository_survives_killed_exports(tmp_path: Path) -> None:
    findings = kill_exports(tmp_path, kills=2, exports=1, say=print)
    assert [check.sentence for check in findings.checks if not check.held] == []
    assert len(findings.checks) == 4
