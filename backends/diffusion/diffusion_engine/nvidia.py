"""What this machine has of NVIDIA: its first GPU, and the TensorRT library."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass

# The major version that ONNX Runtime 1.18 and later are built with.
_LIBRARY = "libnvinfer.so.10"
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU by name and compute capability, such as 8.9: what an engine that was built on it depends on."""

    name: str
    compute_capability: str

    def __str__(self) -> str:
        return f"{self.name} (compute capability {self.compute_capability})"


def first_gpu() -> Gpu | None:
    """The GPU that CUDA counts as 0, as the driver's `nvidia-smi` tells it; None where there is none."""
    command = ["nvidia-smi", "--id=0", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    name, _, capability = answer.stdout.strip().rpartition(", ")
    return Gpu(name, capability) if name else None


def tensorrt_version() -> str | None:
    """The version of the TensorRT library that a process on this machine loads, such as 10.9; None without one."""
    try:
        number = int(ctypes.CDLL(_LIBRARY).getInferLibVersion())
    except (OSError, AttributeError):
        return None
    # NvInferVersion.h: major * 10000 + minor * 100 + patch.
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
