"""A graph that computes in FP32, rewritten to compute in FP16 with FP32 at its boundaries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto
from onnxruntime.transformers.float16 import convert_float_to_float16

from export.external_weights import WeightsFile, external_tensors, read, weights_path

# The sines of the timestep's embedding: FP16 holds no 987.25, and the angles go up to a thousand.
_KEPT: Final = "time_proj/"
_LARGEST: Final = float(np.finfo(np.float16).max)


def to_half(graph: Path) -> None:
    """Rewrites the graph at this path and the weights beside it, one of them in memory at a time.

    Inputs and outputs keep their types, so that a version in FP16 takes the place of one in FP32. The embedding of the
    timestep stays in FP32, as in diffusers.
    """
    model = onnx.load(graph, load_external_data=False)
    # Before the weights are taken out, since their shapes go with them; the converter knows types only from here.
    model = onnx.shape_inference.infer_shapes(model)
    outside = _take_out(model, graph.parent)
    model = convert_float_to_float16(
        model,
        keep_io_types=True,
        disable_shape_infer=True,
        node_block_list=_kept_nodes(model),
    )
    _join_kept(model)
    del model.graph.value_info[:]
    if outside:
        _put_back(model, outside, graph)
    onnx.save(model, graph)


def _kept_nodes(model: onnx.ModelProto) -> list[str]:
    """The nodes that stay in FP32, with all that lies between the graph's inputs and them."""
    makers = {output: node for node in model.graph.node for output in node.output}
    waiting = [node for node in model.graph.node if _KEPT in node.name]
    kept: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        if node.name not in kept:
            kept[node.name] = None
            waiting += [makers[name] for name in node.input if name in makers]
    return list(kept)


@dataclass(frozen=True, slots=True)
class _Outside:
    """A weight that was taken out of a model: its shape, and its data on disk."""

    dims: tuple[int, ...]
    data: npt.NDArray[np.generic]


def _take_out(model: onnx.ModelProto, folder: Path) -> dict[str, _Outside]:
    """Leaves empty tensors where the data is on disk: the converter wants to see all data, and has to see none."""
    outside: dict[str, _Outside] = {}
    for tensor in external_tensors(model):
        outside[tensor.name] = _Outside(tuple(tensor.dims), read(tensor, folder))
        tensor.dims[:] = [0]
        tensor.raw_data = b""
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    return outside


def _put_back(model: onnx.ModelProto, outside: dict[str, _Outside], graph: Path) -> None:
    """Writes the weights anew, each in the type that the converter gave it."""
    # What is mapped stays readable.
    weights_path(graph).unlink()
    with WeightsFile(graph) as weights:
        for tensor in model.graph.initializer:
            if tensor.name in outside:
                # Unmapped one by one, or all of them count as this process's memory in the end.
                weight = outside.pop(tensor.name)
                tensor.dims[:] = weight.dims
                weights.append(tensor, _as(tensor.data_type, weight.data))


def _as(data_type: int, data: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if data_type != TensorProto.FLOAT16 or data.dtype != np.float32:
        return data
    return np.clip(data, -_LARGEST, _LARGEST).astype(np.float16)


def _join_kept(model: onnx.ModelProto) -> None:
    """Hands FP32 on between what stays in FP32.

    The converter looks at single nodes: it casts what one puts out to FP16 and, for the next one, back, and so rounds
    it; and it adds the cast back, under one name, once for every node that takes it.
    """
    inputs = {tensor.name for tensor in model.graph.input}
    casts = {node.output[0]: node.input[0] for node in model.graph.node if _casts_to(node, TensorProto.FLOAT16)}
    exact = {half: source for half, source in casts.items() if source in inputs or source.endswith("_cast_to_fp16")}
    rounded = {
        node.output[0]: exact[node.input[0]]
        for node in model.graph.node
        if _casts_to(node, TensorProto.FLOAT) and node.input[0] in exact
    }
    nodes: dict[str, onnx.NodeProto] = {}
    for node in model.graph.node:
        if node.output[0] not in rounded:
            node.input[:] = [rounded.get(name, name) for name in node.input]
            nodes.setdefault(node.output[0], node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes.values()]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _casts_to(node: onnx.NodeProto, kind: int) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == kind
