"""The serving environment has no torch: nothing in the serving path imports it, directly or through our own modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVING_ROOMS = ("backends", "bridge", "protos", "standalone")
FORBIDDEN = {"accelerate", "diffusers", "onnx", "optimum", "spandrel", "tensorrt", "torch", "transformers"}
# Packages of ours outside the serving path: their imports would have to be searched too.
OTHER_ROOMS = {"benchmarks", "export", "tests"}
# The door between the two: `starweave export` imports its package when it is asked for.
DOOR = ROOT / "standalone" / "commands" / "export.py"
# What `starweave versions` needs of that package, to move versions in a repository, imports nothing heavy.
VERSIONS = (ROOT / "standalone" / "commands" / "versions.py", ROOT / "standalone" / "trial.py")

# Imports every module of the packages named on the command line while what FORBIDDEN names cannot be imported.
IMPORT_EVERYTHING = """
import importlib, importlib.abc, pkgutil, sys

forbidden = set(sys.argv[1].split(","))

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in forbidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in sys.argv[2:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(*sorted(sys.modules))
"""

SOURCES = [
    source
    for room in SERVING_ROOMS
    for source in sorted((ROOT / room).rglob("*.py"))
    if not source.stem.endswith(("_pb2", "_pb2_grpc"))
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(ROOT)))
def test_the_serving_path_imports_nothing_heavy(source: Path) -> None:
    tree = ast.parse(source.read_text())
    everywhere = set(_imported(tree))
    assert not everywhere & FORBIDDEN
    assert not everywhere & OTHER_ROOMS - ({"export"} if source in (DOOR, *VERSIONS) else set())


def test_export_is_imported_only_when_it_is_asked_for() -> None:
    tree = ast.parse(DOOR.read_text())
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        function.body.clear()
    assert "export" not in set(_imported(tree))


def test_everything_that_serves_imports_without_torch() -> None:
    packages = ("bridge", "standalone", "diffusion_engine")
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, ",".join(FORBIDDEN), *packages],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'backends' / 'diffusion'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    imported = set(run.stdout.split())
    assert {"bridge.server", "standalone.command", "diffusion_engine.engine"} <= imported
    assert not FORBIDDEN & imported


def _imported(tree: ast.AST) -> Iterator[str]:
    """First parts of the names of all modules that the code imports, at its top or anywhere inside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
