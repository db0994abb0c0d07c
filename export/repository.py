"""A model repository on disk: its models, and how they change by renames."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.text_format import ParseError
from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.config_text import CONFIG, from_text, to_text
from export.errors import IncompatibleFamily, RepositoryUnavailable


@dataclass(frozen=True, slots=True)
class Repository:
    """The folder that Triton serves; it need not exist yet."""

    path: Path

    def models(self) -> list[str]:
        """The names of all models that have a configuration."""
        return sorted(file.parent.name for file in self.path.glob(f"*/{CONFIG}"))

    def config(self, model: str) -> ModelConfig | None:
        """The model's configuration, None where there is no such model; raises IncompatibleFamily if it is broken."""
        return read_config(self.path / model / CONFIG)

    def versions(self, model: str) -> set[int]:
        """The numbers of the model's version folders."""
        folder = self.path / model
        if not folder.is_dir():
            return set()
        return {int(child.name) for child in folder.iterdir() if child.is_dir() and child.name.isdecimal()}

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder beside the repository, so on its file system; removed at the end.

        Never inside: Triton takes every folder there for a model. One command at a time has it, and what a killed one
        left in it is removed. Raises RepositoryUnavailable where another has it, and for every OSError inside.
        """
        folder = self.path.absolute().parent / f".{self.path.name}.export"
        with ExitStack() as end:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                end.callback(os.close, descriptor)
                # Held by the process, so a killed one holds nothing.
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                end.callback(shutil.rmtree, folder)
                for left in folder.iterdir():
                    shutil.rmtree(left)
                yield folder
            except BlockingIOError:
                raise RepositoryUnavailable(
                    f"Another command is changing {str(self.path)!r}; wait until it has ended."
                ) from None
            except OSError as error:
                raise RepositoryUnavailable(f"The repository {str(self.path)!r} can't be written: {error}.") from error


@dataclass(frozen=True, slots=True)
class Change:
    """Renames in a repository, out of and into a staging folder; `undo` takes back all that were made."""

    repository: Repository
    staged: Path
    undo: ExitStack

    @classmethod
    @contextmanager
    def of(cls, repository: Repository, staged: Path) -> Iterator[Change]:
        """A change that is undone where an error leaves the block."""
        with ExitStack() as undo:
            if not repository.path.exists():
                repository.path.mkdir(parents=True)
                undo.callback(repository.path.rmdir)
            yield cls(repository, staged, undo)
            undo.pop_all()

    def add_model(self, model: str) -> None:
        """Moves a staged model in; of one of that name only the configuration is replaced."""
        target = self.repository.path / model
        if target.exists():
            self._replace_config(self.staged / model / CONFIG, model)
        else:
            self._move(self.staged / model, target)

    def add_version(self, model: str, version: int) -> None:
        """Moves the staged version folder of a model in, and the model where it is not there yet."""
        target = self.repository.path / model
        if target.exists():
            self._move(self.staged / model / str(version), target / str(version))
        else:
            self._move(self.staged / model, target)

    def remove_version(self, model: str, version: int) -> None:
        """Moves a version folder out."""
        self._move(self.repository.path / model / str(version), self._aside(model) / str(version))

    def remove_model(self, model: str) -> None:
        """Moves a model out."""
        self._move(self.repository.path / model, self._aside(model) / "model")

    def write_config(self, config: ModelConfig) -> None:
        """Gives a model that is there another configuration; one that says the same is left as it is written."""
        if self.repository.config(config.name) == config:
            return
        folder = self.staged / ".written" / config.name
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / CONFIG
        file.write_text(to_text(config), encoding="utf-8")
        self._replace_config(file, config.name)

    def _aside(self, model: str) -> Path:
        folder = self.staged / ".replaced" / model
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _move(self, source: Path, target: Path) -> None:
        source.rename(target)
        self.undo.callback(target.rename, source)

    def _replace_config(self, new: Path, model: str) -> None:
        current, old = self.repository.path / model / CONFIG, self._aside(model) / CONFIG
        # An equal file is left alone: Triton reloads a model whose config.pbtxt was written.
        if new.read_bytes() == current.read_bytes():
            return
        shutil.copy2(current, old)
        new.replace(current)
        self.undo.callback(old.replace, current)


def read_config(file: Path) -> ModelConfig | None:
    """The configuration in a file, or None where there is no such file. Raises IncompatibleFamily if it is broken."""
    try:
        return from_text(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ParseError, UnicodeDecodeError) as error:
        raise IncompatibleFamily(
            f"{str(file)!r} is no model configuration ({error}); mend it or take another name."
        ) from error
