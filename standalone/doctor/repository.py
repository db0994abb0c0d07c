"""Whether the model repository holds whole families."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from standalone.backend_folder import PROJECT_BACKENDS
from standalone.doctor.finding import Finding

_SUBJECT = "Models"
# What a clone without Git LFS has in place of a large file.
_LFS_POINTER = b"version https://git-lfs"


def examine(repository: Path) -> Iterator[Finding]:
    """Reads the repository as Triton's `catalog` model will, and looks for the files of each pinned version."""
    if not (repository / "catalog" / "config.pbtxt").is_file():
        yield Finding.wrong(
            _SUBJECT,
            f"There is no model repository with a `catalog` model at {repository}: name one with --repository, or "
            "make one with `starweave export`.",
        )
        return
    catalog = _read_catalog(repository)
    for problem in catalog["problems"]:
        yield Finding.wrong(_SUBJECT, f"{problem} Export the family again.")
    if not catalog["families"] and not catalog["problems"]:
        yield Finding.wrong(_SUBJECT, f"The repository {repository} holds no family: make one with `starweave export`.")
    for family in catalog["families"]:
        damage = list(_damage(repository, family))
        for sentence in damage:
            yield Finding.wrong(_SUBJECT, sentence)
        if not damage:
            yield Finding.well(_SUBJECT, f"The family {family['name']} is whole, version {family['version']}.")


def _damage(repository: Path, family: dict[str, Any]) -> Iterator[str]:
    version = family["version"]
    for model in family["models"]:
        folder = repository / model["name"] / str(version)
        if not folder.is_dir():
            yield (
                f"The family {family['name']} is at version {version}, and {folder.parent} has no folder {version}: "
                "export it again, or go back to a version that is there."
            )
            continue
        for file in folder.rglob("*"):
            if file.is_file() and _is_empty(file):
                yield f"{file} is empty or a Git LFS pointer: run `git lfs pull`, or export the family again."


def _is_empty(file: Path) -> bool:
    with file.open("rb") as opened:
        start = opened.read(len(_LFS_POINTER))
    return start in (b"", _LFS_POINTER)


def _read_catalog(repository: Path) -> dict[str, Any]:
    """What `repository_catalog.read_catalog` of the catalog backend says, which is not a package to be imported."""
    path = PROJECT_BACKENDS / "catalog" / "repository_catalog.py"
    spec = importlib.util.spec_from_file_location("repository_catalog", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"The project has no {path}: install it from its own folder.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    catalog: dict[str, Any] = module.read_catalog(repository)
    return catalog
