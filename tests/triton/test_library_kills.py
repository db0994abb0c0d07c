"""A bridge that is killed under load: `make verify` does this 20 times."""

from __future__ import annotations

from pathlib import Path

from benchmarks.library.kills import kill_loop
from standalone.triton import Triton
from tests.triton.family_client import FamilyClient


def test_no_answered_picture_is_missing_after_kills(triton: Triton, demo: FamilyClient, tmp_path: Path) -> None:
    said: list[str] = []
    outcome = kill_loop(triton.grpc_url, tmp_path, 2, said.append)
    assert outcome.answered >= 2 * 3 and len(said) == 2
    assert outcome.missing == ()
    assert outcome.after.is_sound
    assert outcome.answered - outcome.deleted <= outcome.after.images
