"""The demo's checkpoints, exported once for all tests that look at the result."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from export.demo_family import UPSCALER, demo_options
from export.family import ExportReport, export_family
from export.upscaler import UpscalerReport, export_upscaler
from tests.checkpoint import CHECKPOINT


@pytest.fixture(scope="session")
def exported_upscaler(tmp_path_factory: pytest.TempPathFactory) -> UpscalerReport:
    """A fresh export of the demo's upscaler; tests must not write into its repository."""
    repository = tmp_path_factory.mktemp("export") / "model_repository"
    return export_upscaler(UPSCALER, repository, lambda sentence: None)


@pytest.fixture(scope="session")
def exported(exported_upscaler: UpscalerReport) -> ExportReport:
    """A fresh export of the demo family, into the upscaler's repository; tests must not write into it."""
    return export_family(demo_options(exported_upscaler.repository, CHECKPOINT), lambda sentence: None)


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
