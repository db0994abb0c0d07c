"""What a family will run on."""

from __future__ import annotations

from enum import StrEnum


class Target(StrEnum):
    """A processor; an NVIDIA GPU by ONNX Runtime's CUDA provider; the same by TensorRT engines."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
