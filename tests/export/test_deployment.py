"""Versions of a family come and go; wherever a change is cut off, the active version is whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from export.config_text import from_text
from export.deployment import Deployment, install_family, keep_ensembles
from export.errors import ExportError, IncompatibleFamily, NoSuchFamily, NoSuchVersion, RepositoryUnavailable
from export.repository import Repository

MODELS = ["fox_tokenizer", "fox_unet"]
# The last one bears the family's parameters.
ENSEMBLES = ["fox_inpaint", "fox"]


def ensemble(name: str, version: int) -> str:
    steps = "".join(f'step {{ model_name: "{model}" model_version: {version} }}' for model in MODELS)
    parameters = {"family": "fox", "version": version, "default_steps": 10 * version} if name == "fox" else {}
    return f'name: "{name}" ensemble_scheduling {{ {steps} }}' + "".join(map(parameter, parameters.items()))


def parameter(item: tuple[str, object]) -> str:
    return f' parameters {{ key: "{item[0]}" value {{ string_value: "{item[1]}" }} }}'


def stage(staged: Path, version: int) -> None:
    for model in MODELS:
        (staged / model / str(version)).mkdir(parents=True)
        (staged / model / str(version) / "weights").write_text(f"{model} {version}")
        config = f'name: "{model}" max_batch_size: 16' + parameter(("default_steps", 10 * version))
        (staged / model / "config.pbtxt").write_text(config)
    for name in ("catalog", *ENSEMBLES):
        (staged / name / "1").mkdir(parents=True)
        (staged / name / "config.pbtxt").write_text('name: "catalog"' if name == "catalog" else ensemble(name, version))
    keep_ensembles(staged, "fox", version, [from_text(ensemble(name, version)) for name in ENSEMBLES])


def install(repository: Repository, version: int = 1) -> None:
    with repository.staging() as staged:
        stage(staged, version)
        install_family(repository, staged, ["catalog", *ENSEMBLES], MODELS)


def add(repository: Repository, version: int) -> None:
    with repository.staging() as staged:
        stage(staged, version)
        Deployment.open(repository, "fox").add(staged, version)


def activate(repository: Repository, version: int) -> None:
    with repository.staging() as staged:
        Deployment.open(repository, "fox").activate(staged, version)


def pinned(repository: Repository) -> list[set[int]]:
    """The versions that the steps of each ensemble are pinned to."""
    configs = [repository.config(ensemble) for ensemble in ENSEMBLES]
    return [{step.model_version for step in config.ensemble_scheduling.step} for config in configs if config]


def default_steps(repository: Repository, model: str) -> str:
    config = repository.config(model)
    assert config is not None
    return str(config.parameters["default_steps"].string_value)


def numbers(repository: Repository) -> list[int]:
    return [version.number for version in Deployment.open(repository, "fox").versions()]


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def killed_after(renames: int, change: Callable[[], None]) -> None:
    """Runs the change in a process of its own that ends, without cleaning up, before another rename."""
    left = renames

    def counted(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def count(self: Path, target: Path) -> Path:
            nonlocal left
            if left == 0:
                os._exit(0)
            left -= 1
            return rename(self, target)

        return count

    child = os.fork()
    if child == 0:
        try:
            Path.rename, Path.replace = counted(Path.rename), counted(Path.replace)  # type: ignore[method-assign]
            change()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "model_repository")


def test_the_first_version_is_active_at_once(repository: Repository) -> None:
    assert Deployment.find(repository, "fox") is None
    with pytest.raises(NoSuchFamily, match="no family 'fox'"):
        Deployment.open(repository, "fox")
    install(repository)
    deployment = Deployment.open(repository, "fox")
    assert (deployment.active, deployment.ensembles, set(deployment.models)) == (1, tuple(ENSEMBLES), set(MODELS))
    assert [path.name for path in repository.path.parent.iterdir()] == ["model_repository"]


def test_a_further_version_waits_and_takes_the_place_of_the_one_that_is_not_active(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    assert (numbers(repository), pinned(repository)) == ([1, 2], [{1}, {1}])
    add(repository, 3)
    assert numbers(repository) == [1, 3]
    activate(repository, 3)
    add(repository, 4)
    assert (numbers(repository), pinned(repository)) == ([3, 4], [{3}, {3}])


def test_activation_brings_what_was_exported_with_the_version_and_going_back_too(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    for version in (2, 1):
        activate(repository, version)
        assert pinned(repository) == [{version}, {version}]
        assert {default_steps(repository, name) for name in ("fox", "fox_unet")} == {str(10 * version)}


def test_what_the_operator_set_of_a_model_stays(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    with (repository.path / "fox_unet" / "config.pbtxt").open("a") as config:
        config.write(parameter(("max_rows", 8)))
    activate(repository, 2)
    unet = repository.config("fox_unet")
    assert unet is not None and unet.parameters["max_rows"].string_value == "8"


def test_a_version_that_was_copied_in_by_hand_can_be_activated(repository: Repository) -> None:
    install(repository)
    for model in MODELS:
        (repository.path / model / "7").mkdir()
    activate(repository, Deployment.open(repository, "fox").complete(None))
    assert pinned(repository) == [{7}, {7}]
    assert default_steps(repository, "fox") == "10"


def test_a_configuration_that_would_not_change_is_not_written(repository: Repository) -> None:
    """Triton reloads a model whose configuration was written."""
    install(repository)
    config = repository.path / "fox" / "config.pbtxt"
    config.write_text(f"# By hand.\n{config.read_text()}")
    before = {path: path.stat().st_mtime_ns for path in repository.path.rglob("config.pbtxt")}
    activate(repository, 1)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_pruning_leaves_the_active_version(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    (repository.path / "fox_unet" / "9").mkdir()
    with repository.staging() as staged:
        assert Deployment.open(repository, "fox").prune(staged) == [2, 9]
    assert (numbers(repository), pinned(repository)) == ([1], [{1}, {1}])


def test_only_a_complete_version_that_is_there_can_be_activated(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    (repository.path / "fox_unet" / "2").rename(repository.path / "fox_unet" / "3")
    deployment = Deployment.open(repository, "fox")
    with pytest.raises(NoSuchVersion, match="Version 2 of 'fox' is incomplete: fox_unet lacks it"):
        deployment.complete(2)
    with pytest.raises(NoSuchVersion, match="Version 3 of 'fox' is incomplete"):
        deployment.complete(None)
    with pytest.raises(NoSuchVersion, match="no version 4; it has 1, 2, 3"):
        deployment.complete(4)
    with pytest.raises(NoSuchVersion, match="no version before 1"):
        deployment.before_active()


def test_going_back_goes_to_the_version_before(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    activate(repository, 2)
    assert Deployment.open(repository, "fox").before_active() == 1


@pytest.mark.parametrize("renames", range(12))
def test_an_activation_cut_off_anywhere_serves_and_the_next_command_repairs_it(
    repository: Repository, renames: int
) -> None:
    install(repository)
    add(repository, 2)
    killed_after(renames, lambda: activate(repository, 2))
    deployment = Deployment.open(repository, "fox")
    # Both versions are whole, so every ensemble serves whichever it is pinned to.
    assert all(not version.missing for version in deployment.versions())
    activate(repository, deployment.active)
    assert pinned(repository) == [{deployment.active}] * 2
    steps = {default_steps(repository, name) for name in ("fox", "fox_unet", "fox_tokenizer")}
    assert steps == {str(10 * deployment.active)}


@pytest.mark.parametrize("renames", range(6))
def test_an_export_cut_off_anywhere_leaves_the_active_version_whole(repository: Repository, renames: int) -> None:
    install(repository)
    add(repository, 2)
    killed_after(renames, lambda: add(repository, 3))
    deployment = Deployment.open(repository, "fox")
    assert (deployment.active, pinned(repository)) == (1, [{1}, {1}])
    assert [version for version in deployment.versions() if version.active and not version.missing]
    add(repository, 4)
    assert numbers(repository) == [1, 4]
    assert all(not version.missing for version in Deployment.open(repository, "fox").versions())


@pytest.mark.parametrize("renames", range(6))
def test_a_first_export_cut_off_anywhere_is_no_family_or_a_whole_one(repository: Repository, renames: int) -> None:
    killed_after(renames, lambda: install(repository))
    if Deployment.find(repository, "fox") is None:
        install(repository, 2)
    deployment = Deployment.open(repository, "fox")
    assert [(version.active, version.missing) for version in deployment.versions()] == [(True, ())]
    assert pinned(repository) == [{deployment.active}] * 2


def test_a_change_that_fails_leaves_everything_as_it_was(repository: Repository) -> None:
    install(repository)
    add(repository, 2)
    before = contents(repository.path.parent)
    with pytest.raises(RepositoryUnavailable), repository.staging() as staged:
        stage(staged, 3)
        (staged / "fox_unet" / "3" / "weights").unlink()
        (staged / "fox_unet" / "3" / "ensembles").rename(staged / "elsewhere")
        (staged / "fox_unet" / "3").rmdir()
        Deployment.open(repository, "fox").add(staged, 3)
    with pytest.raises(RepositoryUnavailable), repository.staging() as staged:
        (staged / ".written" / "fox" / "config.pbtxt").mkdir(parents=True)
        Deployment.open(repository, "fox").activate(staged, 2)
    assert contents(repository.path.parent) == before


def test_a_first_export_that_fails_leaves_no_repository(repository: Repository) -> None:
    with pytest.raises(RepositoryUnavailable), repository.staging() as staged:
        install_family(repository, staged, ["catalog", *ENSEMBLES], MODELS)
    assert not repository.path.exists()


@pytest.mark.parametrize("config", ["max_batch_size: 1", "name: {{{", ensemble("fox", 1).replace('"fox"', '"ox"')])
def test_a_model_that_is_not_the_family_is_not_taken_for_it(repository: Repository, config: str) -> None:
    (repository.path / "fox").mkdir(parents=True)
    (repository.path / "fox" / "config.pbtxt").write_text(config)
    with pytest.raises(IncompatibleFamily, match="another name"):
        Deployment.find(repository, "fox")


def test_a_family_whose_name_begins_alike_is_another(repository: Repository) -> None:
    install(repository)
    for name in [*MODELS, *ENSEMBLES]:
        other = repository.path / name.replace("fox", "fox_2")
        other.mkdir()
        config = (repository.path / name / "config.pbtxt").read_text().replace("fox", "fox_2")
        (other / "config.pbtxt").write_text(config)
    assert Deployment.open(repository, "fox").ensembles == tuple(ENSEMBLES)
    assert Deployment.open(repository, "fox_2").ensembles == ("fox_2_inpaint", "fox_2")


def test_every_error_is_one_of_the_exports() -> None:
    assert all(issubclass(error, ExportError) for error in (NoSuchFamily, NoSuchVersion))
