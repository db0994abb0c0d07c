"""Whether the machine, Python, Triton and the packages that models run on fit together."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from standalone.doctor.finding import Finding
from standalone.errors import UnsupportedMachine
from standalone.triton import Triton, TritonPorts

_NVIDIA = Path("/proc/driver/nvidia/version")


def examine() -> Iterator[Finding]:
    """Looks at Triton, its libraries and the packages of the backends."""
    yield _triton()
    yield from _runtime()
    yield _tokenizers()


def _triton() -> Finding:
    with tempfile.TemporaryDirectory() as folder:
        try:
            triton = Triton(Path(folder), Path(folder), TritonPorts.free())
        except UnsupportedMachine as error:
            return Finding.wrong("Triton", error.message)
    return Finding.well("Triton", f"{triton.program} finds its Python stub and all libraries.")


def _runtime() -> Iterator[Finding]:
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name) is not None]
    if not installed:
        yield Finding.wrong(
            "ONNX Runtime", "It is not installed: run `pip install -e .[serve]`, or .[gpu] for an NVIDIA GPU."
        )
    elif len(installed) == 2:
        yield Finding.wrong(
            "ONNX Runtime",
            "onnxruntime and onnxruntime-gpu are both installed, and each has overwritten files of the other: run "
            "`pip uninstall onnxruntime onnxruntime-gpu`, then install one of them with .[serve] or .[gpu].",
        )
    else:
        yield Finding.well("ONNX Runtime", f"{installed[0]} {_version(installed[0])} is installed.")
        if _NVIDIA.exists() and installed == ["onnxruntime"]:
            yield Finding.note(
                "GPU",
                "This machine has an NVIDIA driver, and the installed onnxruntime runs on the CPU only: to use the "
                "GPU, run `pip uninstall onnxruntime` and `pip install -e .[gpu]`.",
            )


def _tokenizers() -> Finding:
    if importlib.util.find_spec("tokenizers") is None:
        return Finding.wrong("Tokenizers", "The package is not installed: run `pip install -e .[serve]`.")
    return Finding.well("Tokenizers", f"tokenizers {_version('tokenizers')} is installed.")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
