"""A model repository changes by renames that are all done or all undone, by one command at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.compatibility import check_compatible
from export.config_text import from_text
from export.errors import IncompatibleFamily, RepositoryUnavailable
from export.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "model_repository")


def test_what_a_killed_export_left_is_removed(repository: Repository) -> None:
    left = repository.path.parent / ".model_repository.export" / "fox_unet" / "1"
    left.mkdir(parents=True)
    with repository.staging() as staged:
        assert list(staged.iterdir()) == []
    assert not staged.exists()


def test_two_commands_at_once_are_refused(repository: Repository) -> None:
    with repository.staging(), pytest.raises(RepositoryUnavailable, match="Another command"), repository.staging():
        pass
    with repository.staging():
        pass


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ('input { name: "X" data_type: TYPE_FP32 dims: 1024 } backend: "diffusion"', "tensors"),
        ('input { name: "X" data_type: TYPE_FP32 dims: 768 } backend: "onnxruntime"', "runs on diffusion"),
    ],
)
def test_other_tensors_or_backends_under_the_same_name_are_refused(
    repository: Repository, config: str, problem: str
) -> None:
    existing = 'input { name: "X" data_type: TYPE_FP32 dims: 768 } backend: "diffusion"'
    (repository.path / "fox_unet").mkdir(parents=True)
    (repository.path / "fox_unet" / "config.pbtxt").write_text(existing)
    check_compatible(repository, [from_text(f'name: "fox_unet" {existing}')])
    with pytest.raises(IncompatibleFamily, match=f"{problem}.*another name"):
        check_compatible(repository, [from_text(f'name: "fox_unet" {config}')])


def test_other_numbers_under_the_same_name_are_refused(repository: Repository) -> None:
    # All versions of a model share its configuration, so another number would spoil the version that is there.
    config = """name: "fox_unet" parameters { key: "scaling_factor" value { string_value: "0.5" } }
    parameters { key: "default_steps" value { string_value: "20" } }"""
    (repository.path / "fox_unet").mkdir(parents=True)
    (repository.path / "fox_unet" / "config.pbtxt").write_text(config)
    check_compatible(repository, [from_text(config.replace("20", "30"))])
    with pytest.raises(IncompatibleFamily, match=r"scaling_factor.*another name"):
        check_compatible(repository, [from_text(config.replace("0.5", "0.25"))])
