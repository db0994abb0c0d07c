"""The demo checkpoint, exported once for all tests that look at the result."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from export.demo_family import demo_options
from export.family import ExportReport, export_family
from tests.checkpoint import CHECKPOINT


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    """A fresh export of the demo family; tests must not write into its repository."""
    repository = tmp_path_factory.mktemp("export") / "model_repository"
    return export_family(demo_options(repository, CHECKPOINT), lambda sentence: None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A copy of the demo checkpoint that may be spoiled; its weights are links."""

    def link_weights(source: str, target: str) -> None:
        if source.endswith(".safetensors"):
            os.symlink(source, target)
        else:
            shutil.copyfile(source, target)

    copy = tmp_path / "checkpoint"
    shutil.copytree(CHECKPOINT, copy, copy_function=link_weights)
    return copy
