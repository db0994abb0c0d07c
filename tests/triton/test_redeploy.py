"""Redeploy under load, small; `make verify` does it at full count."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.verify.redeployment import FailedSwap, Rollback, Swap, redeploy


@pytest.mark.timeout(900)
def test_versions_change_under_load_without_a_failed_or_mixed_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Version 2 is activated and rolled back, 3 refused; at the end version 1 is active."""
    findings = redeploy(tmp_path, [Swap(2), Rollback(1), FailedSwap(3)], 0, print)
    assert [check.sentence for check in findings.checks if not check.held] == []
    assert findings.figures["pictures"] > 20
