"""TensorRT's options for the UNet, and what a machine that lacks something says; no GPU is needed for that."""

from __future__ import annotations

import os
from pathlib import Path

import onnxruntime
import pytest
from diffusion_engine import nvidia, providers
from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.providers import graph_hash, provider_options
from diffusion_engine.session import UNetSession

NAMES = ("tensorrt", "cuda")
PARAMETERS = {
    "trt_fp16_enable": "1",
    "trt_profile_min_shapes": "sample:1x4x32x32",
    "providers": "tensorrt,cuda",
    "max_waiting": "256",
}
GPU = nvidia.Gpu("NVIDIA L4", "8.9")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    file = tmp_path / "version" / "model.onnx"
    file.parent.mkdir()
    file.write_bytes(b"graph")
    (file.parent / "model.onnx.data").write_bytes(b"weights")
    return file


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As if there were a GPU and TensorRT."""
    monkeypatch.setattr(providers, "first_gpu", lambda: GPU)
    monkeypatch.setattr(providers, "tensorrt_version", lambda: "10.9.0")
    return monkeypatch


def driver(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts an `nvidia-smi` of these lines first on the path."""
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_without_tensorrt_there_are_no_options(graph: Path, tmp_path: Path) -> None:
    assert provider_options(("cpu",), graph, PARAMETERS, tmp_path) == {}
    assert provider_options(("cuda",), graph, PARAMETERS, tmp_path) == {}


def test_profiles_and_caches_are_options_of_tensorrt(graph: Path, tmp_path: Path, machine: object) -> None:
    options = provider_options(NAMES, graph, PARAMETERS, tmp_path / "cache")
    assert list(options) == ["tensorrt"]
    tensorrt = options["tensorrt"]
    engines, timings = Path(tensorrt.pop("trt_engine_cache_path")), Path(tensorrt.pop("trt_timing_cache_path"))
    assert tensorrt == {
        "trt_fp16_enable": "1",
        "trt_profile_min_shapes": "sample:1x4x32x32",
        "trt_engine_cache_enable": "1",
        "trt_timing_cache_enable": "1",
    }
    assert engines.is_dir() and timings.is_dir() and engines != timings
    assert engines.parent == timings.parent == tmp_path / "cache"


def test_an_engine_is_shared_by_nothing_that_differs(graph: Path, tmp_path: Path, machine: pytest.MonkeyPatch) -> None:
    def folders(**changed: str) -> tuple[str, str]:
        options = provider_options(NAMES, graph, PARAMETERS | changed, tmp_path)["tensorrt"]
        return options["trt_engine_cache_path"], options["trt_timing_cache_path"]

    first = folders()
    assert folders() == first
    other_profile = folders(trt_profile_min_shapes="sample:1x4x16x16")
    assert other_profile[0] != first[0] and other_profile[1] == first[1]
    (graph.parent / "model.onnx.data").write_bytes(b"other weights")
    other_weights = folders()
    assert other_weights[0] != first[0] and other_weights[1] == first[1]
    machine.setattr(providers, "first_gpu", lambda: nvidia.Gpu("NVIDIA H100", "9.0"))
    assert not set(folders()) & {*first, *other_weights}
    machine.setattr(providers, "tensorrt_version", lambda: "10.10.0")
    assert len({*folders(), *first, *other_weights}) == 5


def test_a_machine_without_a_gpu_says_so(graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, "echo 'No devices were found'; exit 6")
    with pytest.raises(UnsupportedConfig, match=r"no NVIDIA GPU .* --target cpu"):
        provider_options(NAMES, graph, PARAMETERS, tmp_path)


def test_a_machine_without_the_library_says_so(graph: Path, tmp_path: Path, machine: pytest.MonkeyPatch) -> None:
    machine.setattr(providers, "tensorrt_version", lambda: None)
    with pytest.raises(UnsupportedConfig, match=rf"libnvinfer\.so\.10.*{onnxruntime.__version__}"):
        provider_options(NAMES, graph, PARAMETERS, tmp_path)


def test_the_driver_names_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, monkeypatch, "echo 'NVIDIA H100 80GB HBM3, 9.0'")
    assert nvidia.first_gpu() == nvidia.Gpu("NVIDIA H100 80GB HBM3", "9.0")


def test_the_weights_beside_a_graph_are_part_of_its_hash(graph: Path) -> None:
    before = graph_hash(graph)
    (graph.parent / "export.json").write_text("{}")
    assert graph_hash(graph) == before
    (graph.parent / "model.onnx.data").write_bytes(b"weightS")
    assert graph_hash(graph) != before


def test_a_provider_that_did_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class FallenBack:
        """What ONNX Runtime makes where CUDA's libraries are missing."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallenBack)
    with pytest.raises(UnsupportedConfig, match="could not start 'cuda'"):
        UNetSession(tmp_path / "model.onnx", ("cuda",), 0)
