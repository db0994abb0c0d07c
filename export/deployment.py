"""A family as it lies in a model repository: its versions, which of them is active, and how that changes.

Every change is a row of renames. Killed between any two of them, the family serves: the active version is never moved,
and only configurations that are whole come in. The next change first repairs what was left half done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.config_text import to_text
from export.errors import IncompatibleFamily, NoSuchFamily, NoSuchVersion
from export.repository import Change, Repository, read_config

# In the version folder of the UNet: the ensembles as they were exported with that version.
_ENSEMBLES: Final = "ensembles"


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the repository: `missing` names the models that lack it, `bytes` is the size of its files."""

    number: int
    active: bool
    missing: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """A family of a repository. Of its `ensembles` the last bears its parameters; they run its `models`."""

    repository: Repository
    family: str
    ensembles: tuple[str, ...]
    models: tuple[str, ...]
    active: int

    @classmethod
    def find(cls, repository: Repository, family: str) -> Deployment | None:
        """The family, or None where the repository has none of that name.

        Raises IncompatibleFamily where models bear its names that are not its own.
        """
        unet = _unet(family)
        ensembles = {}
        for name in repository.models():
            if not (name == family or name.startswith(f"{family}_")):
                continue
            config = repository.config(name)
            if config is not None and unet in {step.model_name for step in config.ensemble_scheduling.step}:
                ensembles[name] = config
        bearers = [name for name, config in ensembles.items() if "family" in config.parameters]
        if not bearers:
            if family in repository.models() and family not in ensembles:
                raise _taken(repository, family, family)
            return None
        bearer = bearers[0]
        parameters = {key: value.string_value for key, value in ensembles[bearer].parameters.items()}
        if len(bearers) > 1 or parameters["family"] != family or not parameters.get("version", "").isdecimal():
            raise _taken(repository, family, bearer)
        steps = (step.model_name for config in ensembles.values() for step in config.ensemble_scheduling.step)
        others = [name for name in ensembles if name != bearer]
        return cls(repository, family, (*others, bearer), tuple(dict.fromkeys(steps)), int(parameters["version"]))

    @classmethod
    def open(cls, repository: Repository, family: str) -> Deployment:
        """As `find`; raises NoSuchFamily where there is none, and for an upscaler, which is no family."""
        config = repository.config(family)
        if config is not None and "upscale_factor" in config.parameters:
            raise NoSuchFamily(
                f"{family!r} is an upscaler, of which only the last export serves; export the other checkpoint again."
            )
        deployment = cls.find(repository, family)
        if deployment is None:
            raise NoSuchFamily(f"The repository {str(repository.path)!r} has no family {family!r}.")
        return deployment

    def versions(self) -> list[Version]:
        """Every version of which a folder is there, oldest first."""
        held = {model: self.repository.versions(model) for model in self.models}
        return [
            Version(
                number,
                number == self.active,
                tuple(model for model in self.models if number not in held[model]),
                sum(_bytes(self.repository.path / model / str(number)) for model in self.models),
            )
            for number in sorted(set().union(*held.values()))
        ]

    def complete(self, number: int | None) -> int:
        """The number of a version that can be activated; without one, of the newest that there is.

        Raises NoSuchVersion where it is not there, or not in all of the models.
        """
        versions = self.versions()
        if number is None:
            number = max((each.number for each in versions), default=self.active)
        version = next((each for each in versions if each.number == number), None)
        if version is None:
            held = ", ".join(str(each.number) for each in versions)
            raise NoSuchVersion(f"The family {self.family!r} has no version {number}; it has {held or 'none'}.")
        if version.missing:
            raise NoSuchVersion(
                f"Version {number} of {self.family!r} is incomplete: {', '.join(version.missing)} "
                f"{'lack' if len(version.missing) > 1 else 'lacks'} it. Export it again."
            )
        return number

    def before_active(self) -> int:
        """The newest complete version before the active one; raises NoSuchVersion where there is none."""
        numbers = [each.number for each in self.versions() if each.number < self.active and not each.missing]
        if not numbers:
            raise NoSuchVersion(f"The family {self.family!r} has no version before {self.active}, which is active.")
        return numbers[-1]

    def configs(self, number: int) -> list[ModelConfig]:
        """The configurations that make a version the active one, in the order in which they are to come in.

        Of another version they are the ensembles that were exported with it, where it brings them. What the models
        repeat of the family's parameters follows; the rest of their configuration is the operator's.
        """
        ensembles = []
        for name in self.ensembles:
            exported = self.repository.path / _unet(self.family) / str(number) / _ENSEMBLES / f"{name}.pbtxt"
            config = (read_config(exported) if number != self.active else None) or self.repository.config(name)
            if config is not None:
                ensembles.append(_pinned(config, number))
        parameters = ensembles[-1].parameters
        models = []
        for name in self.models:
            config = self.repository.config(name)
            if config is None:
                raise IncompatibleFamily(f"The family {self.family!r} lacks the model {name!r}; export it again.")
            for key in config.parameters:
                if key in parameters:
                    config.parameters[key].string_value = parameters[key].string_value
            models.append(config)
        return [*models, *ensembles]

    def activate(self, staged: Path, number: int) -> None:
        """Makes a complete version the active one; a failure undoes all.

        The ensemble that bears the family's parameters comes last: where the process is killed in between, it tells
        what was active, and activating that repairs the rest.
        """
        with Change.of(self.repository, staged) as change:
            for config in self.configs(number):
                change.write_config(config)

    def prune(self, staged: Path) -> list[int]:
        """Takes out every version but the active one, and returns their numbers."""
        with Change.of(self.repository, staged) as change:
            return self._prune(change)

    def add(self, staged: Path, number: int) -> None:
        """Brings the staged version in, beside the active one and in the place of any other."""
        with Change.of(self.repository, staged) as change:
            self._prune(change)
            for model in self.models:
                change.add_version(model, number)

    def _prune(self, change: Change) -> list[int]:
        removed = set()
        for model in self.models:
            for number in sorted(self.repository.versions(model) - {self.active}):
                change.remove_version(model, number)
                removed.add(number)
        return sorted(removed)


def keep_ensembles(staged: Path, family: str, number: int, ensembles: Sequence[ModelConfig]) -> None:
    """Writes the family's ensembles into a staged version, for its activation."""
    folder = staged / _unet(family) / str(number) / _ENSEMBLES
    folder.mkdir()
    for config in ensembles:
        (folder / f"{config.name}.pbtxt").write_text(to_text(config), encoding="utf-8")


def install_family(repository: Repository, staged: Path, others: Sequence[str], models: Sequence[str]) -> None:
    """Brings a family in that is not there yet: the `models` that its ensembles run, around them the `others`.

    The first of the others, the catalog, comes first, since no Triton starts without it; the last, the ensemble that
    bears the family's parameters, comes last: before it, there is no family. What an export that was killed left of
    the models is replaced.
    """
    with Change.of(repository, staged) as change:
        change.add_model(others[0])
        for model in models:
            if (repository.path / model).exists():
                change.remove_model(model)
            change.add_model(model)
        for ensemble in others[1:]:
            change.add_model(ensemble)


def _unet(family: str) -> str:
    return f"{family}_unet"


def _pinned(config: ModelConfig, version: int) -> ModelConfig:
    for step in config.ensemble_scheduling.step:
        step.model_version = version
    if "version" in config.parameters:
        config.parameters["version"].string_value = str(version)
    return config


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _taken(repository: Repository, family: str, model: str) -> IncompatibleFamily:
    return IncompatibleFamily(
        f"The repository {str(repository.path)!r} holds a model {model!r} that does not bear the parameters of a "
        f"family {family!r}; take another name."
    )
