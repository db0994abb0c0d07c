"""The Dockerfiles: no finding of hadolint, and what they install is what the code imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.deploy.compose import PROJECT

DOCKERFILES = sorted((PROJECT / "deploy").glob("*/Dockerfile"))
TRITON = PROJECT / "deploy" / "triton" / "Dockerfile"
# What NVIDIA's image has, and Triton gives its model processes.
OF_THE_IMAGE = {"numpy", "triton_python_backend_utils"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    run = subprocess.run([hadolint, path], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_what_is_copied_exists(path: Path) -> None:
    for line in re.findall(r"^COPY (.*)$", path.read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (PROJECT / source).exists(), line


def installed(dockerfile: Path) -> dict[str, str]:
    """Requirements by the package's name, extras included."""
    text = dockerfile.read_text().replace("${ONNXRUNTIME}", "onnxruntime")
    return {re.split(r"[>=\[]", each)[0]: each for each in re.findall(r'"([\w\[\]-]+>=[^"]+)"', text)}


def test_what_the_backends_import_is_installed_for_triton() -> None:
    distributions = packages_distributions()
    available = installed(TRITON).keys() | {"protobuf"}  # which tritonclient[grpc] brings
    imported = set()
    for folder in (PROJECT / "backends").iterdir():
        if folder.name != "onnxruntime":
            own = {path.stem for path in folder.iterdir()} | {"model_config_pb2"}
            imported |= {name for file in folder.rglob("*.py") for name in imports(file)} - own
    for module in imported - OF_THE_IMAGE - sys.stdlib_module_names:
        top = "google.protobuf" if module == "google" else module
        found = {"protobuf"} if top == "google.protobuf" else set(distributions[top])
        assert found & available, f"{module} is not installed in {TRITON}"


def imports(file: Path) -> set[str]:
    """The top-level modules that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def test_what_is_installed_for_triton_has_the_projects_ranges() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    ours = set(project["dependencies"]) | {
        each for extra in project["optional-dependencies"].values() for each in extra
    }
    for requirement in installed(TRITON).values():
        assert requirement in ours


def test_the_bridge_imports_nothing_that_is_not_copied() -> None:
    """The rooms that the image of the bridge has are enough for the bridge and for `starweave doctor`."""
    copied = {
        line.split()[0]
        for line in re.findall(r"^COPY (.*)$", (PROJECT / "deploy" / "bridge" / "Dockerfile").read_text(), re.M)
    }
    rooms = {path.name for path in PROJECT.iterdir() if path.is_dir()}
    used = {
        name for room in ("bridge", "standalone") for file in (PROJECT / room).rglob("*.py") for name in imports(file)
    }
    # Imported when asked for, with a sentence where it is not there.
    assert (used & rooms) - copied == {"export"}
