"""Envoy's own judgement of its configuration. (Its work: tests/triton/test_production_stack.py.)"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.deploy.compose import PROJECT


def test_envoy_takes_its_configuration() -> None:
    envoy = Path(sys.executable).parent / "envoy"
    config = PROJECT / "deploy" / "envoy" / "envoy.yaml"
    run = subprocess.run([envoy, "--mode", "validate", "-c", config], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "deprecated" not in run.stderr.lower()
