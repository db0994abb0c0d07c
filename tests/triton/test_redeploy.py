"""Redeploy under load, small; `make verify` does it at full count."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.verify.redeployment import FailedSwap, Rollback, Swap, redeploy


@pytest.mark.timeout(900)
def test_versions_change_under_load_without_a_failed_or_mixed_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end version 1 is active, 2 was rolled back and 4 is activated; 3 never was."""
    findings = redeploy(tmp_path, [Swap(2), Rollback(1), FailedSwap(3), Swap(4)], 0, print)
    assert [check.sentence for check in findings.checks if not check.held] == []
    assert findings.figures["pictures"] > 20
