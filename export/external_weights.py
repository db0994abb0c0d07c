"""Weights of an ONNX graph in one file beside it, where both together exceed protobuf's 2 GB; one at a time in memory.

Triton's native ONNX Runtime backend, its stand-in and the diffusion backend all open `model.onnx` by its path, and ONNX
Runtime finds and maps the file beside it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import onnx
from onnx.external_data_helper import ExternalDataInfo, set_external_data

# What a memory map may begin at; the ONNX format recommends it for offsets.
_PAGE: Final = 4096


class WeightsFile:
    """The file that takes a graph's weights, one behind the other; a context manager."""

    def __init__(self, graph: Path) -> None:
        """Begins the file that belongs to the graph's path, `model.onnx.data` to `model.onnx`."""
        self.path = weights_path(graph)
        self._file = self.path.open("wb")

    def append(self, tensor: onnx.TensorProto, array: npt.NDArray[np.generic]) -> None:
        """Writes the array and makes the tensor, which keeps its name, type and shape, refer to it."""
        self._file.write(b"\0" * (-self._file.tell() % _PAGE))
        begin = self._file.tell()
        array.tofile(self._file)
        # `set_external_data` refuses a tensor without data of its own, and `onnx.save` writes what it finds there.
        tensor.raw_data = b""
        set_external_data(tensor, self.path.name, offset=begin, length=array.nbytes)
        tensor.ClearField("raw_data")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()


def weights_path(graph: Path) -> Path:
    """Where the weights of a graph lie that does not hold them itself."""
    return graph.with_name(f"{graph.name}.data")


def external_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The model's initializers whose data is not in it."""
    return (tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL)


def read(tensor: onnx.TensorProto, folder: Path) -> npt.NDArray[np.generic]:
    """The data of one external tensor, mapped: flat, in its own type."""
    info = ExternalDataInfo(tensor)
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    count = int(np.prod(tensor.dims, dtype=np.int64))
    return np.memmap(folder / info.location, kind, "r", offset=info.offset or 0, shape=(count,))


def gather(graph: Path) -> None:
    """Moves the weights that torch's exporter wrote beside a large graph, one file each, into one file."""
    model = onnx.load(graph, load_external_data=False)
    scattered = list(external_tensors(model))
    if not scattered:
        return
    with WeightsFile(graph) as weights:
        for tensor in scattered:
            source = graph.parent / ExternalDataInfo(tensor).location
            _check_whole(tensor, source)
            weights.append(tensor, read(tensor, graph.parent))
            # At once: the disk needs room for the weights once, and for the largest of them.
            source.unlink()
    onnx.save(model, graph)


def _check_whole(tensor: onnx.TensorProto, file: Path) -> None:
    """Raises the OSError of a full disk, which torch's exporter, writing these files in C++, does not look for."""
    kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    if file.stat().st_size < int(np.prod(tensor.dims, dtype=np.int64)) * kind.itemsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
