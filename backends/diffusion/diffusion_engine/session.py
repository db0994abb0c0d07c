"""The UNet in ONNX Runtime; knows rows of tensors and no requests."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnxruntime

from diffusion_engine.errors import UnsupportedConfig

Array = npt.NDArray[np.float32]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class UNetSession:
    """One UNet graph, loaded once; `run` may be called by one thread at a time."""

    def __init__(
        self,
        path: Path,
        providers: tuple[str, ...],
        intra_op_thread_count: int,
        provider_options: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        """Loads the graph; raises UnsupportedConfig for a provider that ONNX Runtime lacks or can't start here."""
        available = onnxruntime.get_available_providers()
        for provider in providers:
            if _PROVIDERS.get(provider) not in available:
                raise UnsupportedConfig(
                    f"The parameter providers names {provider!r}, which this machine's ONNX Runtime does not offer; "
                    f"it offers {', '.join(name for name, full in _PROVIDERS.items() if full in available)}."
                )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_thread_count
        # A memory pattern is kept for every shape of the inputs that was ever seen: each size with each number of rows.
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=[(_PROVIDERS[provider], dict(provider_options.get(provider, {}))) for provider in providers],
        )
        _check_started(providers, self._session.get_providers())
        inputs = {item.name: item for item in self._session.get_inputs()}
        if not {"sample", "timestep"} <= set(inputs):
            raise UnsupportedConfig(
                f"{path.name} takes {', '.join(sorted(inputs))}; a UNet takes sample, timestep and what it is "
                "conditioned on. Export the family again."
            )
        self.sample_channels = int(inputs["sample"].shape[1])
        # The shape of one row of each further input, None where a length varies.
        self.condition_shapes: dict[str, tuple[int | None, ...]] = {
            name: tuple(length if isinstance(length, int) else None for length in item.shape[1:])
            for name, item in inputs.items()
            if name not in ("sample", "timestep")
        }
        self._graph = path
        self._threads = intra_op_thread_count or os.cpu_count()

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """What a measurement of this session depends on: graph, providers, library, threads and processor."""
        with self._graph.open("rb") as graph:
            digest = hashlib.file_digest(graph, "sha256").hexdigest()
        providers = ",".join(self._session.get_providers())
        return digest, providers, onnxruntime.__version__, str(self._threads), _processor()

    def run(self, sample: Array, timestep: Array, conditions: Mapping[str, Array]) -> Array:
        """The model's output [B, C, h, w] for latents [B, C, h, w], timesteps [B] and the further inputs [B, ..]."""
        output: Array = self._session.run(None, {"sample": sample, "timestep": timestep, **conditions})[0]
        return output


def _check_started(providers: tuple[str, ...], started: Sequence[str]) -> None:
    """ONNX Runtime only logs a provider that fails to start, and goes on without it, on the CPU in the end."""
    for provider in providers:
        if _PROVIDERS[provider] not in started:
            raise UnsupportedConfig(
                f"ONNX Runtime {onnxruntime.__version__} could not start {provider!r}, which the parameter providers "
                "names: there is no GPU that it can use, or CUDA, cuDNN or TensorRT is not of the version that it was "
                "built with; Triton's log names the library."
            )


def _processor() -> str:
    """The processor's name; `platform.processor` is empty on many Linux systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith("model name")), platform.processor())
