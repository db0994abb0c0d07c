"""Stand-in for Triton's native ONNX Runtime backend, for Tritons that come without it; CPU only.

Triton takes this file where it finds no `libtriton_onnxruntime.so` (docs/python_based_backends.md in
triton-inference-server/backend); models need no other configuration for it.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

Tensors = dict[str, np.ndarray]

# Texts would have to be decoded for ONNX Runtime, and NumPy has no bfloat16.
_FOREIGN_TYPES = ("TYPE_STRING", "TYPE_BF16")
_SHRINKAGE = "memory.enable_memory_arena_shrinkage"
_ADVICE = "run this model in a Triton with the native ONNX Runtime backend, or export it for the CPU."


class TritonPythonModel:
    """One version of one ONNX graph."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the graph; an error here fails the model's load with its sentence."""
        config = json.loads(args["model_config"])
        _check_runs_here(config, args["model_instance_kind"])
        self._batched = config["max_batch_size"] > 0
        self._outputs = [output["name"] for output in config["output"]]
        self._session = onnxruntime.InferenceSession(
            str(Path(pb_utils.get_model_dir()) / (config["default_model_filename"] or "model.onnx")),
            _session_options(config),
            providers=["CPUExecutionProvider"],
        )
        self._run_options = _run_options(config)
        _check_names("inputs", [item["name"] for item in config["input"]], self._session.get_inputs())
        _check_names("outputs", self._outputs, self._session.get_outputs())

    def execute(self, requests: list[Any]) -> list[Any]:
        """Runs requests of equal shapes as one batch, and answers each by itself."""
        responses: list[Any] = [None] * len(requests)
        alike = defaultdict(list)
        for index, request in enumerate(requests):
            tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            key = tuple(sorted((name, array.shape[1:]) for name, array in tensors.items())) if self._batched else index
            alike[key].append((index, tensors))
        for group in alike.values():
            for (index, _), response in zip(group, self._answer([tensors for _, tensors in group]), strict=True):
                responses[index] = response
        return responses

    def _answer(self, group: list[Tensors]) -> list[Any]:
        try:
            outputs = self._run(group)
        except Exception as error:
            if len(group) > 1:
                # Which of them the graph failed on shows when each runs alone.
                return [response for tensors in group for response in self._answer([tensors])]
            invalid = isinstance(error, (InvalidArgument, ValueError))
            code = pb_utils.TritonError.INVALID_ARG if invalid else pb_utils.TritonError.INTERNAL
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, array) for name, array in tensors.items()])
            for tensors in outputs
        ]

    def _run(self, group: list[Tensors]) -> list[Tensors]:
        """Outputs for each request of a group; all arrays have the batch axis first, if the model has one."""
        if len(group) == 1:
            return [
                dict(zip(self._outputs, self._session.run(self._outputs, group[0], self._run_options), strict=True))
            ]
        joined = {name: np.concatenate([tensors[name] for tensors in group]) for name in group[0]}
        rows = [len(next(iter(tensors.values()))) for tensors in group]
        outputs = self._session.run(self._outputs, joined, self._run_options)
        if any(len(array) != sum(rows) for array in outputs):
            raise RuntimeError("The graph's outputs have another batch size than its inputs.")
        pieces = [np.split(array, np.cumsum(rows)[:-1]) for array in outputs]
        return [dict(zip(self._outputs, piece, strict=True)) for piece in zip(*pieces, strict=True)]


def _check_runs_here(config: dict[str, Any], instance_kind: str) -> None:
    if instance_kind == "GPU":
        raise ValueError(f"{config['name']} asks for a GPU (KIND_GPU), which this stand-in can't use; {_ADVICE}")
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    for place in ("gpu_execution_accelerator", "cpu_execution_accelerator"):
        for accelerator in accelerators.get(place, []):
            raise ValueError(
                f"{config['name']} asks for the {place} {accelerator['name']!r}, which this stand-in can't use; "
                f"{_ADVICE}"
            )
    for tensor in [*config["input"], *config["output"]]:
        if tensor["data_type"] in _FOREIGN_TYPES:
            raise ValueError(
                f"{config['name']} has {tensor['name']} of {tensor['data_type']}, which this stand-in can't pass on; "
                f"{_ADVICE}"
            )


def _session_options(config: dict[str, Any]) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # A thread that spins between two nodes takes its core from the denoising steps beside it.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for key, attribute in (
        ("intra_op_thread_count", "intra_op_num_threads"),
        ("inter_op_thread_count", "inter_op_num_threads"),
    ):
        text = _parameter(config, key, "0")
        if not text.isdecimal():
            raise ValueError(f"The parameter {key} of {config['name']} is {text!r}; it must be a number of threads.")
        setattr(options, attribute, int(text))
    options.enable_mem_pattern = _parameter(config, "enable_mem_pattern", "1") != "0"
    return options


def _run_options(config: dict[str, Any]) -> onnxruntime.RunOptions:
    options = onnxruntime.RunOptions()
    if arenas := _parameter(config, _SHRINKAGE, ""):
        options.add_run_config_entry(_SHRINKAGE, arenas)
    return options


def _parameter(config: dict[str, Any], key: str, default: str) -> str:
    text: str = config["parameters"].get(key, {}).get("string_value", default)
    return text


def _check_names(kind: str, declared: list[str], of_graph: list[Any]) -> None:
    actual = {item.name for item in of_graph}
    if unknown := sorted(set(declared) - actual):
        raise ValueError(
            f"config.pbtxt names {kind} {', '.join(unknown)} that the graph does not have; "
            f"it has {', '.join(sorted(actual))}."
        )
