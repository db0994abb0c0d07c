"""TensorRT plans, which Triton's TensorRT backend runs, built from ONNX graphs on a machine with the GPU to serve on.

The lines that need a GPU are those of `_build`; they have not been run on one yet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from export.errors import GraphMismatch, TargetUnavailable
from export.sampling import nvidia
from export.shape_range import ShapeRange

_WORKSPACE_BYTES: Final = 4 * 2**30
_MAJOR: Final = 10


@dataclass(frozen=True, slots=True)
class PlanBuilder:
    """TensorRT and the GPU that it builds for; a plan runs only on such a GPU, by that very version."""

    tensorrt: ModuleType
    gpu: nvidia.Gpu

    @classmethod
    def find(cls) -> PlanBuilder:
        """Raises TargetUnavailable, saying what is missing, where this machine can't build."""
        try:
            import tensorrt
        except ImportError as error:
            raise TargetUnavailable(
                f"--target tensorrt needs the package tensorrt ({error}): run `pip install -e .[export,tensorrt]`."
            ) from error
        if int(tensorrt.__version__.partition(".")[0]) != _MAJOR:
            raise TargetUnavailable(
                f"TensorRT {tensorrt.__version__} is installed; the export needs version {_MAJOR}, as Triton 24.10 and "
                "later have it: run `pip install -e .[export,tensorrt]`."
            )
        gpu = nvidia.first_gpu()
        if gpu is None:
            raise TargetUnavailable(
                "--target tensorrt builds for the GPU that it runs on, and `nvidia-smi` finds none here: export on a "
                "machine with a GPU like the server's, or with --target cuda."
            )
        return cls(tensorrt, gpu)

    def __str__(self) -> str:
        return f"TensorRT {self.tensorrt.__version__} for {self.gpu}"

    def build(self, graph: Path, plan: Path, shapes: ShapeRange, half: bool) -> None:
        """Writes the plan of a graph; raises GraphMismatch with TensorRT's words for one that it can't build.

        What TensorRT finds out about kernels is kept in the cache folder, for the next build on such a GPU.
        """
        timings = _cache_folder() / f"timings-{self.gpu.name}-{self.tensorrt.__version__}".replace(" ", "_")
        timings.parent.mkdir(parents=True, exist_ok=True)
        plan.write_bytes(_build(self.tensorrt, graph, shapes, half, timings))


def _build(tensorrt: Any, graph: Path, shapes: ShapeRange, half: bool, timings: Path) -> bytes:
    builder = tensorrt.Builder(tensorrt.Logger(tensorrt.Logger.WARNING))
    network = builder.create_network(0)
    parser = tensorrt.OnnxParser(network, builder.logger)
    # By its path, where it finds weights that lie beside it.
    if not parser.parse_from_file(str(graph)):
        raise GraphMismatch(f"TensorRT can't read the graph: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, _WORKSPACE_BYTES)
    if half:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    profile = builder.create_optimization_profile()
    for name in shapes.usual:
        profile.set_shape(name, shapes.least[name], shapes.usual[name], shapes.most[name])
    config.add_optimization_profile(profile)
    cache = config.create_timing_cache(timings.read_bytes() if timings.exists() else b"")
    config.set_timing_cache(cache, ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise GraphMismatch("TensorRT could not build an engine of the graph; its log, above, says why.")
    timings.write_bytes(config.get_timing_cache().serialize())
    return bytes(plan)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "starweave" / "tensorrt"
