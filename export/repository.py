"""A model repository on disk: which versions of a family it holds, and how a new one gets in."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.text_format import ParseError
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.errors import IncompatibleFamily, RepositoryUnavailable
from export.model_configs import WEIGHT_PARAMETERS, from_text, to_text

CONFIG = "config.pbtxt"


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder that Triton serves; it need not exist yet."""

    path: Path

    def config(self, model: str) -> ModelConfig | None:
        """The model's configuration, or None where there is no such model."""
        file = self.path / model / CONFIG
        try:
            return from_text(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (ParseError, UnicodeDecodeError) as error:
            raise IncompatibleFamily(
                f"{str(file)!r} is no model configuration ({error}); mend it or take another name."
            ) from error

    def active_version(self, family: str, ensemble: str) -> int | None:
        """The version that the family's `ensemble`, which bears its parameters, is pinned to, or None without one."""
        config = self.config(ensemble)
        if config is None:
            return None
        parameters = {key: value.string_value for key, value in config.parameters.items()}
        if parameters.get("family") != family or not parameters.get("version", "").isdecimal():
            raise IncompatibleFamily(
                f"The repository {str(self.path)!r} holds a model {ensemble!r} that does not bear the parameters of a "
                f"family {family!r}; take another name."
            )
        return int(parameters["version"])

    def next_version(self, models: Sequence[str]) -> int:
        """One more than any version that is there: numbers are not used twice."""
        return max((version for model in models for version in self._versions(model)), default=0) + 1

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder beside the repository, so on its file system; removed at the end.

        Never inside: Triton takes every folder there for a model. One export at a time has it, and what a killed one
        left in it is removed. Raises RepositoryUnavailable where another export has it, and for every OSError inside.
        """
        folder = self.path.absolute().parent / f".{self.path.name}.export"
        with ExitStack() as end:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                end.callback(os.close, descriptor)
                # Held by the process, so a killed export holds nothing.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                end.callback(shutil.rmtree, folder)
                for left in folder.iterdir():
                    shutil.rmtree(left)
                yield folder
            except BlockingIOError:
                raise RepositoryUnavailable(
                    f"Another export into {str(self.path)!r} is at work; wait until it has ended."
                ) from None
            except OSError as error:
                raise RepositoryUnavailable(f"The repository {str(self.path)!r} can't be written: {error}.") from error

    def check_compatible(self, config: ModelConfig) -> None:
        """Raises IncompatibleFamily where a model of this name needs another config: all its versions share one."""
        existing = self.config(config.name)
        if existing is None:
            return
        if (config.backend, config.platform) != (existing.backend, existing.platform):
            raise IncompatibleFamily(
                f"The repository's {config.name} is for {existing.backend}, this export is for {config.backend}; "
                "export for the same target, or under another name."
            )
        for ours, theirs in ((config.input, existing.input), (config.output, existing.output)):
            if list(ours) != list(theirs):
                raise IncompatibleFamily(
                    f"The repository's {config.name} has other tensors than this checkpoint needs; "
                    "export the checkpoint under another name."
                )
        for key in WEIGHT_PARAMETERS:
            if key in config.parameters and config.parameters[key] != existing.parameters[key]:
                raise IncompatibleFamily(
                    f"The repository's {config.name} has the {key} {existing.parameters[key].string_value!r}, this "
                    f"checkpoint {config.parameters[key].string_value!r}; export the checkpoint under another name."
                )

    def activate(self, staged: Path, ensembles: Sequence[str], version: int) -> None:
        """Pins all steps of a family's ensembles to `version`, each ensemble by one rename; a failure undoes all.

        The last of them is the one that bears the family's parameters, so that it tells what was active before where
        the process is killed in between, and another call with that version undoes what was done.
        """
        folder = staged / ".activation"
        with ExitStack() as undo:
            for model in ensembles:
                config = self.config(model)
                if config is None:
                    continue
                for step in config.ensemble_scheduling.step:
                    step.model_version = version
                if "version" in config.parameters:
                    config.parameters["version"].string_value = str(version)
                (folder / model).mkdir(parents=True)
                (folder / model / CONFIG).write_text(to_text(config), encoding="utf-8")
                _replace_config(folder, model, self.path / model, undo)
            undo.pop_all()

    def install(self, staged: Path, versioned: Sequence[str], others: Sequence[str], active: int | None) -> None:
        """Moves staged models in by renames; a failure undoes all of them.

        Of the `versioned` models every version but the active one is taken out, so that two remain. Of the `others`
        only the configuration changes, each by one rename: those of the ensembles activate the new version, that of
        the one that bears the family's parameters last.
        """
        with ExitStack() as undo:
            if not self.path.exists():
                self.path.mkdir(parents=True)
                undo.callback(self.path.rmdir)
            for model in versioned:
                target = self.path / model
                if not target.exists():
                    _move(staged / model, target, undo)
                    continue
                for old in self._versions(model) - {active}:
                    _move(target / str(old), _aside(staged, model) / str(old), undo)
                for new in (staged / model).iterdir():
                    if new.is_dir():
                        _move(new, target / new.name, undo)
                _replace_config(staged, model, target, undo)
            for model in others:
                target = self.path / model
                if target.exists():
                    _replace_config(staged, model, target, undo)
                else:
                    _move(staged / model, target, undo)
            undo.pop_all()

    def _versions(self, model: str) -> set[int]:
        folder = self.path / model
        if not folder.is_dir():
            return set()
        return {int(child.name) for child in folder.iterdir() if child.is_dir() and child.name.isdecimal()}


def _aside(staged: Path, model: str) -> Path:
    folder = staged / ".replaced" / model
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _move(source: Path, target: Path, undo: ExitStack) -> None:
    source.rename(target)
    undo.callback(target.rename, source)


def _replace_config(staged: Path, model: str, target: Path, undo: ExitStack) -> None:
    new, current, old = staged / model / CONFIG, target / CONFIG, _aside(staged, model) / CONFIG
    # An equal file is left alone: Triton reloads a model whose config.pbtxt was written.
    if new.read_bytes() == current.read_bytes():
        return
    shutil.copy2(current, old)
    new.replace(current)
    undo.callback(old.replace, current)
