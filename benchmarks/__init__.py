"""Measurements: speed against baselines and limits, and how well pictures follow their prompts."""

import sys
from pathlib import Path

import export as export

# The engine is not a top-level package: Triton appends the backend's folder to `sys.path` in the same way.
sys.path.append(str(Path(__file__).resolve().parent.parent / "backends" / "diffusion"))
