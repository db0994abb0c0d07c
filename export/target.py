"""What a family will run on, and what its models' configurations say for that."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup


class Target(StrEnum):
    """A processor; an NVIDIA GPU by ONNX Runtime's CUDA provider; the same by TensorRT engines."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


def aim(models: Iterable[ModelConfig], target: Target) -> None:
    """Writes into a family's models what their backends need to run them on the target."""
    if target is Target.CPU:
        return
    for config in models:
        if config.backend == "onnxruntime":
            _place_on_gpu(config)
        elif config.backend == "diffusion":
            # The engine's tensors come and go on the CPU; its session alone is on the GPU.
            config.parameters["providers"].string_value = "cuda"


def _place_on_gpu(config: ModelConfig) -> None:
    del config.instance_group[:]
    # One instance: without the number of a GPU, Triton makes one on each.
    config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_GPU, gpus=[0])
