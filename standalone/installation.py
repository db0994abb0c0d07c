"""The Triton that is installed here: the one in the `nvidia-pytriton` wheel, else `tritonserver` on PATH."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from standalone.errors import UnsupportedMachine
from standalone.machine import Machine


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the parts of a Triton are.

    `backends` is its own backend folder; `stub` the program that runs a Python model, built for this Python's minor
    version; `caches` holds the response caches; `libraries` what must be on LD_LIBRARY_PATH, if anything.
    """

    server: Path
    backends: Path
    stub: Path
    caches: Path
    libraries: Path | None


def find_installation() -> Installation:
    """The Triton to start.

    Raises:
        UnsupportedMachine: Triton does not run on such a machine, there is none, or it is for another Python.
    """
    problem = Machine.current().problem()
    if problem is not None:
        raise UnsupportedMachine(problem)
    installation = _from_wheel() or _from_path()
    if installation is None:
        raise UnsupportedMachine(
            "No Triton was found: install the serving packages with `pip install -e .[serve]` (they bring one), "
            "or put NVIDIA's `tritonserver` on PATH."
        )
    return installation


def _from_wheel() -> Installation | None:
    # find_spec does not import pytriton, which would take a second.
    spec = importlib.util.find_spec("pytriton")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    root = package / "tritonserver"
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Installation(
        server=root / "bin" / "tritonserver",
        backends=root / "backends",
        stub=root / "python_backend_stubs" / python / "triton_python_backend_stub",
        caches=root / "caches",
        libraries=package.parent / "nvidia_pytriton.libs",
    )


def _from_path() -> Installation | None:
    found = shutil.which("tritonserver")
    if found is None:
        return None
    server = Path(found).resolve()
    root = server.parent.parent
    stub = root / "backends" / "python" / "triton_python_backend_stub"
    if not stub.is_file():
        raise UnsupportedMachine(
            f"The Triton at {server} has no Python backend: use one that has, such as NVIDIA's container image."
        )
    python = stub_python(stub)
    if python != sys.version_info[:2]:
        raise UnsupportedMachine(
            f"The Triton at {server} runs Python {python[0]}.{python[1]} models, and this is Python "
            f"{sys.version_info.major}.{sys.version_info.minor}: `pip install -e .[serve]` brings one that fits."
        )
    return Installation(server=server, backends=root / "backends", stub=stub, caches=root / "caches", libraries=None)


def stub_python(stub: Path) -> tuple[int, int]:
    """The (major, minor) Python that a stub program was linked with, read from the library it names."""
    named = re.search(rb"libpython(\d)\.(\d+)\.so", stub.read_bytes())
    if named is None:
        raise UnsupportedMachine(f"{stub} is not a Python stub of Triton: install Triton again.")
    return int(named[1]), int(named[2])


def python_library() -> Path | None:
    """This interpreter's own shared library; None where it has none or where the system's loader finds it anyway."""
    name = sysconfig.get_config_var("INSTSONAME")
    folder = sysconfig.get_config_var("LIBDIR")
    if not name or not folder or ".so" not in name:
        return None
    library = Path(folder) / name
    return library if library.is_file() else None


def check_libraries(stub: Path, library_path: str) -> None:
    """Makes sure that a Python stub finds its libraries with this LD_LIBRARY_PATH.

    Raises:
        UnsupportedMachine: one is missing; the sentence names it.
    """
    listing = subprocess.run(
        ["ldd", str(stub)],
        env={"LD_LIBRARY_PATH": library_path, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    missing = re.findall(r"^\s*(\S+) => not found", listing.stdout, re.MULTILINE)
    if not missing:
        return
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if any(name.startswith("libpython") for name in missing):
        raise UnsupportedMachine(
            f"Triton needs {missing[0]}, and this Python was built without it: install it "
            f"(Debian and Ubuntu: `apt-get install lib{python}`) or use a Python built with --enable-shared."
        )
    raise UnsupportedMachine(f"Triton needs {', '.join(missing)}: install the packages that bring them.")
