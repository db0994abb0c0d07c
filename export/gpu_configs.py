"""What the configurations of a family's models say where it will run on a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from export.errors import IncompatibleFamily
from export.precision import Precision
from export.repository import Repository
from export.shape_range import ShapeRange

# What TensorRT makes fast, and the most that it builds for, and keeps memory for at the largest picture: rows of a UNet
# step (four guided pictures), and pictures of the other models.
TENSORRT_ROWS: Final = (4, 8)
TENSORRT_BATCH: Final = (1, 4)


def aim_cuda(models: Iterable[ModelConfig]) -> None:
    """Writes into a family's models what their backends need to run them by CUDA."""
    for config in models:
        if config.backend == "onnxruntime":
            _place_on_gpu(config)
            # Giving a GPU's memory back after each batch would make every stream wait.
            config.parameters.pop("memory.enable_memory_arena_shrinkage", None)
        elif config.backend == "diffusion":
            # The engine's tensors come and go on the CPU; its session alone is on the GPU.
            config.parameters["providers"].string_value = "cuda"


def aim_tensorrt(models: Iterable[ModelConfig], unet: ShapeRange, precision: Precision) -> None:
    """Writes into a family's models and ensembles what they need to run as TensorRT engines.

    Text encoder and VAE become `tensorrt_plan` models. The UNet keeps its ONNX graph, of which ONNX Runtime's TensorRT
    provider makes an engine for the shapes of `unet`, once for each machine.
    """
    for config in models:
        # An ensemble may take no larger batch than each of its steps.
        config.max_batch_size = min(config.max_batch_size, TENSORRT_BATCH[1])
        if config.backend == "onnxruntime":
            _place_on_gpu(config)
            config.backend, config.platform = "tensorrt", "tensorrt_plan"
            config.parameters.clear()
        elif config.backend == "diffusion":
            options = {
                "providers": "tensorrt,cuda",
                "row_limit": str(TENSORRT_ROWS[1]),
                "trt_fp16_enable": str(int(precision is Precision.FP16)),
                **unet.provider_options(),
            }
            for key, value in options.items():
                config.parameters[key].string_value = value


def check_target(repository: Repository, models: Iterable[ModelConfig]) -> None:
    """Raises IncompatibleFamily where a family that is there runs by another provider: its versions share that."""
    for config in models:
        existing = repository.config(config.name)
        if existing is None or "providers" not in config.parameters:
            continue
        ours, theirs = (each.parameters["providers"].string_value for each in (config, existing))
        if ours != theirs:
            raise IncompatibleFamily(
                f"The repository's {config.name} runs by {theirs}, this export by {ours}; "
                "export for the same target, or under another name."
            )


def _place_on_gpu(config: ModelConfig) -> None:
    del config.instance_group[:]
    # One instance: without the number of a GPU, Triton makes one on each.
    config.instance_group.add(count=1, kind=ModelInstanceGroup.KIND_GPU, gpus=[0])
