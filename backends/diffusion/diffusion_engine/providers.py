"""Options of ONNX Runtime's execution providers, and where TensorRT keeps what takes it minutes to build."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import onnxruntime

from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.nvidia import Gpu, first_gpu, tensorrt_version

_OPTION = "trt_"


def provider_options(
    providers: tuple[str, ...], graph: Path, parameters: Mapping[str, str], cache: Path
) -> dict[str, dict[str, str]]:
    """Options by provider. The model's parameters that begin with trt_ go to TensorRT's as they are.

    Raises UnsupportedConfig where TensorRT is named on a machine without a GPU or the library.
    """
    if "tensorrt" not in providers:
        return {}
    gpu, library = first_gpu(), tensorrt_version()
    if gpu is None:
        raise UnsupportedConfig(
            "The UNet was exported for TensorRT, but `nvidia-smi` finds no NVIDIA GPU on this machine: serve it on one "
            "that has a GPU, or export the family with --target cpu."
        )
    if library is None:
        raise UnsupportedConfig(
            f"The UNet was exported for TensorRT, but this machine has no TensorRT 10 (libnvinfer.so.10): install the "
            f"one that ONNX Runtime {onnxruntime.__version__} was built with, or export the family with --target cuda."
        )
    options = {key: value for key, value in parameters.items() if key.startswith(_OPTION)}
    return {"tensorrt": options | _cache_options(graph, gpu, library, options, cache)}


def graph_hash(graph: Path) -> str:
    """SHA-256 of a graph with the weights beside it."""
    digest = hashlib.sha256()
    for file in sorted(graph.parent.glob(f"{graph.name}*")):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _cache_options(graph: Path, gpu: Gpu, library: str, options: Mapping[str, str], cache: Path) -> dict[str, str]:
    machine = (gpu.name, gpu.compute_capability, library, onnxruntime.__version__)
    # TensorRT's own file names do not tell the weights apart: two versions of a family must not share an engine.
    engines = cache / _digest(graph_hash(graph), *machine, *sorted(f"{key}={value}" for key, value in options.items()))
    timings = cache / _digest(*machine)
    for folder in (engines, timings):
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(timings),
    }


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
