"""Versions come and go in a repository by renames that are all done or all undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.config_text import from_text
from export.errors import IncompatibleFamily, RepositoryUnavailable
from export.repository import Repository

PARTS = ["fox_tokenizer", "fox_unet"]
# The last one bears the family's parameters.
ENSEMBLES = ["fox_inpaint", "fox"]


def stage(staged: Path, version: int, config: str = "max_batch_size: 16") -> None:
    for model in PARTS:
        (staged / model / str(version)).mkdir(parents=True)
        (staged / model / str(version) / "weights").write_text(f"{model} {version}")
        (staged / model / "config.pbtxt").write_text(config)
    for ensemble in ENSEMBLES:
        steps = "".join(f'step {{ model_name: "{model}" model_version: {version} }}' for model in PARTS)
        (staged / ensemble / "1").mkdir(parents=True)
        (staged / ensemble / "config.pbtxt").write_text(f"ensemble_scheduling {{ {steps} }}\n")
    with (staged / "fox" / "config.pbtxt").open("a") as config:
        config.write('parameters { key: "family" value { string_value: "fox" } }\n')
        config.write(f'parameters {{ key: "version" value {{ string_value: "{version}" }} }}\n')


def add(repository: Repository, version: int) -> None:
    with repository.staging() as staged:
        stage(staged, version)
        repository.install(staged, PARTS, ENSEMBLES, repository.active_version("fox", "fox"))


def pinned(repository: Repository) -> list[set[int]]:
    """The versions that the steps of each ensemble are pinned to."""
    configs = [repository.config(ensemble) for ensemble in ENSEMBLES]
    return [{step.model_version for step in config.ensemble_scheduling.step} for config in configs if config]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "model_repository")


def test_the_first_version_makes_the_repository(repository: Repository) -> None:
    assert repository.next_version(PARTS) == 1
    assert repository.active_version("fox", "fox") is None
    add(repository, 1)
    assert repository.active_version("fox", "fox") == 1
    assert repository.next_version(PARTS) == 2
    assert [path.name for path in repository.path.parent.iterdir()] == ["model_repository"]


def test_two_versions_remain_the_new_one_and_the_one_that_was_active(repository: Repository) -> None:
    for version in (1, 2, 3):
        assert repository.next_version(PARTS) == version
        add(repository, version)
    assert repository.active_version("fox", "fox") == 3
    assert sorted(path.name for path in (repository.path / "fox_unet").iterdir()) == ["2", "3", "config.pbtxt"]
    assert (repository.path / "fox_unet" / "3" / "weights").read_text() == "fox_unet 3"
    assert (repository.path / "fox" / "1").is_dir()


def test_a_number_is_not_used_again_after_going_back(repository: Repository) -> None:
    add(repository, 1)
    add(repository, 2)
    with repository.staging() as staged:
        repository.activate(staged, ENSEMBLES, 1)
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


def test_activation_pins_every_step_of_every_ensemble(repository: Repository) -> None:
    add(repository, 1)
    add(repository, 2)
    assert pinned(repository) == [{2}, {2}]
    for version in (1, 2):
        with repository.staging() as staged:
            repository.activate(staged, ENSEMBLES, version)
        assert pinned(repository) == [{version}, {version}]
        assert repository.active_version("fox", "fox") == version
    assert sorted(path.name for path in (repository.path / "fox_inpaint").iterdir()) == ["1", "config.pbtxt"]


def test_an_activation_that_fails_leaves_every_ensemble_as_it_was(repository: Repository) -> None:
    add(repository, 1)
    add(repository, 2)
    before = contents(repository.path)
    with pytest.raises(RepositoryUnavailable), repository.staging() as staged:
        (staged / ".activation" / "fox").mkdir(parents=True)
        repository.activate(staged, ENSEMBLES, 1)
    assert contents(repository.path) == before


def test_an_activation_that_was_killed_is_undone_by_another(repository: Repository) -> None:
    add(repository, 1)
    add(repository, 2)
    with repository.staging() as staged:
        repository.activate(staged, ENSEMBLES[:1], 1)
    assert pinned(repository) == [{1}, {2}]
    active = repository.active_version("fox", "fox")
    assert active == 2
    with repository.staging() as staged:
        repository.activate(staged, ENSEMBLES, active)
    assert pinned(repository) == [{2}, {2}]


def test_other_numbers_under_the_same_name_are_refused(repository: Repository) -> None:
    # All versions of a model share its configuration, so another number would spoil the version that is there.
    config = """name: "fox_unet" parameters { key: "scaling_factor" value { string_value: "0.5" } }
    parameters { key: "default_steps" value { string_value: "20" } }"""
    (repository.path / "fox_unet").mkdir(parents=True)
    (repository.path / "fox_unet" / "config.pbtxt").write_text(config)
    repository.check_compatible(from_text(config.replace("20", "30")))
    with pytest.raises(IncompatibleFamily, match=r"scaling_factor.*another name"):
        repository.check_compatible(from_text(config.replace("0.5", "0.25")))


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
        repository.install(staged, PARTS, ENSEMBLES, repository.active_version("fox", "fox"))
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
        repository.active_version("fox", "fox")
