"""The demo checkpoint, where the project carries it."""

from pathlib import Path

CHECKPOINT = Path(__file__).parents[1] / "export" / "demo" / "checkpoint"
