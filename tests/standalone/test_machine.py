"""What an unsupported machine is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from standalone import installation, machine
from standalone.errors import UnsupportedMachine
from standalone.installation import check_libraries, find_installation, stub_python
from standalone.machine import Machine


@pytest.mark.parametrize(
    ("unsupported", "sentence"),
    [
        (Machine("Darwin", "arm64", (3, 11)), "x86-64 Linux, and this is Darwin on arm64: use "),
        (Machine("Linux", "aarch64", (3, 11)), "x86-64 Linux, and this is Linux on aarch64: use "),
        (Machine("Linux", "x86_64", (3, 13)), "Python 3.11 or 3.12, and this is Python 3.13: install "),
        (Machine("Linux", "x86_64", (3, 8)), "Python 3.11 or 3.12, and this is Python 3.8: install "),
    ],
)
def test_an_unsupported_machine_is_told_what_to_do(unsupported: Machine, sentence: str) -> None:
    problem = unsupported.problem()
    assert problem is not None
    assert sentence in problem


@pytest.mark.parametrize("python", [(3, 11), (3, 12)])
def test_a_supported_machine_has_no_problem(python: tuple[int, int]) -> None:
    assert Machine("Linux", "x86_64", python).problem() is None


def test_make_can_ask_before_anything_is_installed() -> None:
    run = subprocess.run([sys.executable, "-I", "-S", machine.__file__], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_no_triton_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnsupportedMachine, match="No Triton was found: install the serving packages"):
        find_installation()


def test_a_triton_on_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wheel = find_installation()
    _make_installation(tmp_path, wheel.stub)
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = find_installation()
    assert found.server == tmp_path / "bin" / "tritonserver"
    assert found.backends == tmp_path / "backends"


def test_a_triton_for_another_python_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = "3.10"
    stub = find_installation().stub.parent.parent / other / "triton_python_backend_stub"
    assert stub_python(stub) == (3, 10)
    _make_installation(tmp_path, stub)
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(UnsupportedMachine, match=r"runs Python 3\.10 models, and this is Python 3\.1[12]"):
        find_installation()


def test_a_missing_python_library_is_named() -> None:
    # No machine has the libraries of every Python; 3.8's is the least likely, and its absence is checked first.
    stub = find_installation().stub.parent.parent / "3.8" / "triton_python_backend_stub"
    if shutil.which("ldd") and "libpython3.8.so.1.0 => not found" not in _ldd(stub):
        pytest.skip("this machine has libpython3.8")
    with pytest.raises(UnsupportedMachine, match=r"Triton needs libpython3\.8\.so\.1\.0, .* install it"):
        check_libraries(stub, "")


def _ldd(program: Path) -> str:
    return subprocess.run(["ldd", str(program)], env={"PATH": os.defpath}, capture_output=True, text=True).stdout


def _make_installation(root: Path, stub: Path) -> None:
    """The folders of a Triton as NVIDIA's container lays them out, with a real stub."""
    (root / "bin").mkdir()
    (root / "bin" / "tritonserver").write_text("#!/bin/sh\n")
    (root / "bin" / "tritonserver").chmod(0o755)
    (root / "backends" / "python").mkdir(parents=True)
    shutil.copy(stub, root / "backends" / "python" / stub.name)
