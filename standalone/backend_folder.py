"""The backend folder that Triton is given: its own backends and this project's, side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

from standalone.installation import Installation

PROJECT_BACKENDS = Path(__file__).resolve().parent.parent / "backends"


def lay_out(installation: Installation, folder: Path, project: Path = PROJECT_BACKENDS) -> None:
    """Makes `folder` anew from an installation's backends and those of `project`.

    A project backend of the name of a native one (`onnxruntime`) is left out where the installation has that native
    one. Triton refuses a library that a link leads out of its backend's folder, so `python` is copied (2 MB); the
    others are linked as whole folders.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    python = folder / "python"
    shutil.copytree(installation.backends / "python", python, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(installation.stub, python / installation.stub.name)
    for backend in sorted(installation.backends.iterdir()):
        if backend.is_dir() and backend.name != "python":
            (folder / backend.name).symlink_to(backend)
    for backend in sorted(project.iterdir()):
        if (backend / "model.py").is_file() and not (folder / backend.name).exists():
            (folder / backend.name).symlink_to(backend)
