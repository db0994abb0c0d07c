"""Versions come and go in a repository by renames that are all done or all undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.errors import IncompatibleFamily, RepositoryUnavailable
from export.model_configs import from_text
from export.repository import Repository

PARTS = ["fox_tokenizer", "fox_unet"]


def stage(staged: Path, version: int, config: str = "max_batch_size: 16") -> None:
    for model in PARTS:
        (staged / model / str(version)).mkdir(parents=True)
        (staged / model / str(version) / "weights").write_text(f"{model} {version}")
        (staged / model / "config.pbtxt").write_text(config)
    (staged / "fox" / "1").mkdir(parents=True)
    (staged / "fox" / "config.pbtxt").write_text(
        f'parameters {{ key: "family" value {{ string_value: "fox" }} }}\n'
        f'parameters {{ key: "version" value {{ string_value: "{version}" }} }}\n'
    )


def add(repository: Repository, version: int) -> None:
    with repository.staging() as staged:
        stage(staged, version)
        repository.install(staged, PARTS, ["fox"], repository.active_version("fox"))


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "model_repository")


def test_the_first_version_makes_the_repository(repository: Repository) -> None:
    assert repository.next_version(PARTS) == 1
    assert repository.active_version("fox") is None
    add(repository, 1)
    assert repository.active_version("fox") == 1
    assert repository.next_version(PARTS) == 2
    assert [path.name for path in repository.path.parent.iterdir()] == ["model_repository"]


def test_two_versions_remain_the_new_one_and_the_one_that_was_active(repository: Repository) -> None:
    for version in (1, 2, 3):
        assert repository.next_version(PARTS) == version
        add(repository, version)
    assert repository.active_version("fox") == 3
    assert sorted(path.name for path in (repository.path / "fox_unet").iterdir()) == ["2", "3", "config.pbtxt"]
    assert (repository.path / "fox_unet" / "3" / "weights").read_text() == "fox_unet 3"
    assert (repository.path / "fox" / "1").is_dir()


def test_a_number_is_not_used_again_after_going_back(repository: Repository) -> None:
    add(repository, 1)
    add(repository, 2)
    config = repository.path / "fox" / "config.pbtxt"
    config.write_text(config.read_text().replace('"2"', '"1"'))
    assert repository.next_version(PARTS) == 3
    add(repository, 3)
    assert sorted(path.name for path in (repository.path / "fox_unet").iterdir()) == ["1", "3", "config.pbtxt"]


def test_a_version_that_was_left_half_installed_is_taken_out(repository: Repository) -> None:
    add(repository, 1)
    (repository.path / "fox_unet" / "2").mkdir()
    assert repository.next_version(PARTS) == 3
    add(repository, 3)
    for model in PARTS:
        assert sorted(path.name for path in (repository.path / model).iterdir()) == ["1", "3", "config.pbtxt"]


@pytest.mark.parametrize("versions", [0, 1, 2])
def test_an_installation_that_fails_leaves_everything_as_it_was(repository: Repository, versions: int) -> None:
    for version in range(1, versions + 1):
        add(repository, version)
    before = contents(repository.path.parent)
    with pytest.raises(RepositoryUnavailable), repository.staging() as staged:
        stage(staged, 3, config="max_batch_size: 8")
        (staged / "fox" / "config.pbtxt").unlink()
        (staged / "fox" / "1").rmdir()
        (staged / "fox").rmdir()
        repository.install(staged, PARTS, ["fox"], repository.active_version("fox"))
    assert contents(repository.path.parent) == before
    assert repository.path.exists() == (versions > 0)


def test_an_equal_configuration_is_not_written_again(repository: Repository) -> None:
    add(repository, 1)
    config = repository.path / "fox_unet" / "config.pbtxt"
    written = config.stat()
    add(repository, 2)
    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_what_a_killed_export_left_is_removed(repository: Repository) -> None:
    left = repository.path.parent / ".model_repository.export" / "fox_unet" / "1"
    left.mkdir(parents=True)
    with repository.staging() as staged:
        assert list(staged.iterdir()) == []
    assert not staged.exists()


def test_two_exports_at_once_are_refused(repository: Repository) -> None:
    with repository.staging(), pytest.raises(RepositoryUnavailable, match="at work"), repository.staging():
        pass
    add(repository, 1)


def test_other_tensors_under_the_same_name_are_refused(repository: Repository) -> None:
    (repository.path / "fox_unet").mkdir(parents=True)
    (repository.path / "fox_unet" / "config.pbtxt").write_text('input { name: "X" data_type: TYPE_FP32 dims: 768 }')
    repository.check_compatible(from_text('name: "fox_unet" input { name: "X" data_type: TYPE_FP32 dims: 768 }'))
    with pytest.raises(IncompatibleFamily, match="another name"):
        repository.check_compatible(from_text('name: "fox_unet" input { name: "X" data_type: TYPE_FP32 dims: 1024 }'))


@pytest.mark.parametrize("config", ["max_batch_size: 1", "name: {{{"])
def test_a_model_that_is_no_family_is_not_overwritten(repository: Repository, config: str) -> None:
    (repository.path / "fox").mkdir(parents=True)
    (repository.path / "fox" / "config.pbtxt").write_text(config)
    with pytest.raises(IncompatibleFamily, match="another name"):
        repository.active_version("fox")
