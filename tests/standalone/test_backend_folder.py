"""The backend folder holds Triton's backends and the project's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from standalone.backend_folder import PROJECT_BACKENDS, lay_out
from standalone.installation import find_installation


def test_project_backends_stand_beside_the_python_backend(tmp_path: Path) -> None:
    lay_out(find_installation(), tmp_path / "backends")
    for backend in ("catalog", "clip_tokenizer", "diffusion", "onnxruntime"):
        assert (tmp_path / "backends" / backend).resolve() == PROJECT_BACKENDS / backend
    python = tmp_path / "backends" / "python"
    for name in ("libtriton_python.so", "triton_python_backend_stub", "triton_python_backend_utils.py"):
        assert (python / name).is_file()
        assert (python / name).resolve().parent == python, (
            "Triton refuses a library that a link leads out of the folder"
        )


def test_a_native_backend_wins_over_the_stand_in_of_its_name(tmp_path: Path) -> None:
    wheel = find_installation()
    native = tmp_path / "native"
    (native / "onnxruntime").mkdir(parents=True)
    (native / "python").symlink_to(wheel.backends / "python")
    lay_out(replace(wheel, backends=native), tmp_path / "backends")
    assert (tmp_path / "backends" / "onnxruntime").resolve() == native / "onnxruntime"
    assert (tmp_path / "backends" / "diffusion").resolve() == PROJECT_BACKENDS / "diffusion"


def test_laying_out_again_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "backends" / "removed_backend").mkdir(parents=True)
    lay_out(find_installation(), tmp_path / "backends")
    assert not (tmp_path / "backends" / "removed_backend").exists()
