"""`starweave doctor` where a Triton runs. (What it says of broken installations: tests/standalone/test_doctor.py.)"""

from __future__ import annotations

import shutil
from pathlib import Path

from click.testing import CliRunner

from standalone.command import main
from standalone.doctor import trial
from standalone.doctor.finding import Verdict
from standalone.stack import StackSettings


def test_a_running_server_is_well(bridge_address: str) -> None:
    outcome = CliRunner().invoke(main, ["doctor", "--address", bridge_address])
    assert outcome.exit_code == 0, outcome.output
    assert "ok    Server: The model demo is ready, version 1." in outcome.stdout
    assert "ok    Server: A picture of one step took " in outcome.stdout


def test_a_family_that_triton_cannot_load_is_told_with_its_reason(tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(StackSettings().repository, models)
    # Only text-to-image is left, and its picture decoder is damaged.
    for kind in ("image_to_image", "inpaint"):
        shutil.rmtree(models / f"demo_{kind}")
    (models / "demo_vae_decoder" / "1" / "model.onnx").write_bytes(b"not a graph")
    (finding,) = trial.examine(models)
    assert finding.verdict is Verdict.WRONG
    assert finding.sentence.startswith("Triton cannot load demo: ")
    assert "demo_vae_decoder" in finding.sentence
