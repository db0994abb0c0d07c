"""The UNet in ONNX Runtime; knows rows of tensors and no requests."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnxruntime

from diffusion_engine.errors import UnsupportedConfig
from diffusion_engine.providers import graph_hash
from diffusion_engine.row_slices import RowSlices

Array = npt.NDArray[np.float32]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}

# A service of a few sizes has some tens of shapes: sizes by rows by the text's windows.
_MOST_PLANS = 512


class UNetSession:
    """One UNet graph; up to `workers` threads at a time may call `run` for a step on one core, or one for all cores.

    On a processor of several cores it is loaded twice: for steps that one core takes from the first node to the last,
    alone or for its slice of the rows, and for steps whose rows don't divide among the cores, such as a single one, in
    which all cores share every node. The former plans its memory for each shape of the inputs (some 30 KB for a small
    UNet), of which the number is bounded; steps of further shapes go to the latter.
    """

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
        self._graph = path
        self._threads = intra_op_thread_count or len(os.sched_getaffinity(0))
        self._session = onnxruntime.InferenceSession(
            str(path),
            _options(intra_op_thread_count, plans=False),
            providers=[(_PROVIDERS[provider], dict(provider_options.get(provider, {}))) for provider in providers],
        )
        _check_started(providers, self._session.get_providers())
        self._single = self._session
        self._slices: RowSlices | None = None
        if providers == ("cpu",) and self._threads > 1:
            self._single = onnxruntime.InferenceSession(
                str(path), _options(1, plans=True), providers=[_PROVIDERS["cpu"]]
            )
            self._slices = RowSlices(self._single, self._threads)
        self._shapes: set[tuple[tuple[int, ...], ...]] = set()
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

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """What a measurement of this session depends on: graph, providers, library, threads and processor."""
        providers = ",".join(self._session.get_providers())
        threads = f"{self._threads}, {'together' if self._slices is None else 'in planned slices'}"
        return graph_hash(self._graph), providers, onnxruntime.__version__, threads, _processor()

    @property
    def workers(self) -> int:
        """Steps that can be taken side by side: one a core, and one where a device takes them."""
        return 1 if self._slices is None else self._threads

    def run(self, sample: Array, timestep: Array, conditions: Mapping[str, Array], one_core: bool = False) -> Array:
        """The model's output [B, C, h, w] for latents [B, C, h, w], timesteps [B] and the further inputs [B, ..]."""
        feeds = {"sample": sample, "timestep": timestep, **conditions}
        session = self._session
        if one_core and self._has_plan(feeds, len(sample)):
            session = self._single
        elif self._slices is not None and self._slices.fit(len(sample)):
            if self._has_plan(feeds, len(sample) // self._threads):
                return self._slices.run(feeds)
        output: Array = session.run(None, feeds)[0]
        return output

    def _has_plan(self, feeds: Mapping[str, Array], rows: int) -> bool:
        shapes = tuple((rows, *array.shape[1:]) for array in feeds.values())
        if shapes not in self._shapes and len(self._shapes) < _MOST_PLANS:
            self._shapes.add(shapes)
        return shapes in self._shapes


def _options(threads: int, plans: bool) -> onnxruntime.SessionOptions:
    """`plans`: one piece of memory a run; cores then don't hand the memory of every node around in the arena."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # A memory pattern is kept for every shape of the inputs that was ever seen: each size with each number of rows.
    options.enable_mem_pattern = plans
    return options


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
