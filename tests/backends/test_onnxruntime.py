"""The stand-in for the native ONNX Runtime backend, in a real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import psutil
import pytest
import tritonclient.grpc as triton_grpc
from onnx import TensorProto, helper

from tests.backends.serving import infer, serve

TYPES = {
    "FP32": TensorProto.FLOAT,
    "FP16": TensorProto.FLOAT16,
    "FP64": TensorProto.DOUBLE,
    "INT8": TensorProto.INT8,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "BOOL": TensorProto.BOOL,
}
TABLE = np.arange(40, dtype=np.float32).reshape(10, 4)


def write_model(
    repository: Path,
    name: str,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[str, list[Any]]],
    outputs: dict[str, tuple[str, list[Any]]],
    *,
    weights: dict[str, npt.NDArray[np.float32]] | None = None,
    max_batch_size: int = 8,
    config: str = "",
    outside: bool = False,
) -> None:
    """Writes graph and configuration; the first axis of every tensor is the batch where the model has batches.

    The weights lie in the graph, or in a file beside it.
    """
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(key, TYPES[kind], shape) for key, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(key, TYPES[kind], shape) for key, (kind, shape) in outputs.items()],
        [onnx.numpy_helper.from_array(array, key) for key, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    onnx.save_model(
        model,
        folder / "1" / "model.onnx",
        save_as_external_data=outside,
        location="model.onnx.data" if outside else None,
        size_threshold=0,
    )

    def tensor(key: str, kind: str, shape: list[Any]) -> str:
        axes = shape[1:] if max_batch_size else shape
        dims = [-1 if isinstance(axis, str) else axis for axis in axes]
        return f'{{ name: "{key}" data_type: TYPE_{kind} dims: {dims} }}'

    text = [f'backend: "onnxruntime" max_batch_size: {max_batch_size} instance_group {{ count: 1 kind: KIND_CPU }}']
    text += [f"input {tensor(key, kind, shape)}" for key, (kind, shape) in inputs.items()]
    text += [f"output {tensor(key, kind, shape)}" for key, (kind, shape) in outputs.items()]
    (folder / "config.pbtxt").write_text("\n".join([*text, config]))


def write_repository(repository: Path) -> None:
    write_model(
        repository,
        "types",
        [helper.make_node("Identity", [kind], [f"{kind}_OUT"]) for kind in TYPES],
        {kind: (kind, ["batch", "length"]) for kind in TYPES},
        {f"{kind}_OUT": (kind, ["batch", "length"]) for kind in TYPES},
    )
    write_model(
        repository,
        "lookup",
        [helper.make_node("Gather", ["table", "IDS"], ["ROWS"])],
        {"IDS": ("INT64", ["batch", "length"])},
        {"ROWS": ("FP32", ["batch", "length", 4])},
        weights={"table": TABLE},
        config="dynamic_batching { preferred_batch_size: 8 max_queue_delay_microseconds: 1000000 }",
    )
    write_model(
        repository,
        "outside",
        [helper.make_node("Gather", ["table", "IDS"], ["ROWS"])],
        {"IDS": ("INT64", ["batch", "length"])},
        {"ROWS": ("FP32", ["batch", "length", 4])},
        weights={"table": TABLE},
        outside=True,
    )
    table_of_products = [
        helper.make_node("Transpose", ["X"], ["ROW"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["X", "ROW"], ["PRODUCTS"]),
        helper.make_node("ReduceMax", ["PRODUCTS"], ["Y"]),
    ]
    for name, parameter in (
        ("keeps_memory", ""),
        (
            "gives_memory_back",
            'parameters { key: "memory.enable_memory_arena_shrinkage" value { string_value: "cpu:0" } }',
        ),
    ):
        write_model(
            repository,
            name,
            table_of_products,
            {"X": ("FP32", [1, "length", 1])},
            {"Y": ("FP32", [1, 1, 1])},
            max_batch_size=0,
            config=f'{parameter} parameters {{ key: "enable_mem_pattern" value {{ string_value: "0" }} }}',
        )
    double = [helper.make_node("Add", ["X", "X"], ["Y"])]
    vector = ("FP32", ["length"])
    write_model(repository, "unbatched", double, {"X": vector}, {"Y": vector}, max_batch_size=0)
    write_model(
        repository,
        "threads",
        double,
        {"X": ("FP32", ["batch", 1])},
        {"Y": ("FP32", ["batch", 1])},
        config="".join(
            f'parameters {{ key: "{key}_op_thread_count" value {{ string_value: "1" }} }}' for key in ("intra", "inter")
        ),
    )
    refused = {
        "no_number": 'parameters { key: "intra_op_thread_count" value { string_value: "all" } }',
        "tensorrt": 'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" } } }',
        "openvino": 'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }',
    }
    for name, config in refused.items():
        write_model(
            repository, name, double, {"X": ("FP32", ["batch", 1])}, {"Y": ("FP32", ["batch", 1])}, config=config
        )
    write_model(repository, "renamed", double, {"X": ("FP32", ["batch", 1])}, {"Y": ("FP32", ["batch", 1])})
    texts = repository / "texts" / "config.pbtxt"
    write_model(repository, "texts", double, {"X": ("FP32", ["batch", 1])}, {"Y": ("FP32", ["batch", 1])})
    texts.write_text(texts.read_text().replace("TYPE_FP32", "TYPE_STRING"))
    config_file = repository / "renamed" / "config.pbtxt"
    config_file.write_text(config_file.read_text().replace('"Y"', '"Z"'))


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton_grpc.InferenceServerClient]:
    folder = tmp_path_factory.mktemp("triton")
    write_repository(folder / "model_repository")
    with serve(folder, "types", "lookup", "outside", "unbatched", "threads") as client:
        yield client


def test_every_type_goes_in_and_comes_out(triton: triton_grpc.InferenceServerClient) -> None:
    numbers = np.arange(6).reshape(2, 3)
    given: dict[str, npt.NDArray[np.generic]] = {
        "FP32": numbers.astype(np.float32) / 7,
        "FP16": numbers.astype(np.float16) / 8,
        "FP64": numbers / 7,
        "INT8": numbers.astype(np.int8) - 3,
        "INT32": numbers.astype(np.int32) - 3,
        "INT64": numbers + 2**40,
        "UINT8": numbers.astype(np.uint8) + 250,
        "BOOL": numbers % 2 == 0,
    }
    answer = infer(triton, "types", **given)
    for kind, array in given.items():
        assert answer[f"{kind}_OUT"].dtype == array.dtype
        assert answer[f"{kind}_OUT"].tolist() == array.tolist()


def test_requests_of_one_batch_are_answered_apart_and_one_that_fails_fails_alone(
    triton: triton_grpc.InferenceServerClient,
) -> None:
    # Rows add up to the preferred batch, so Triton hands all over in one execution; the graph fails on row 10 of 10.
    requests = [
        np.array([[1, 2]]),
        np.array([[10, 0]]),
        np.array([[3, 4], [5, 6]]),
        np.array([[7, 8], [9, 0], [1, 1], [0, 0]]),
    ]
    before = executions(triton, "lookup")
    with ThreadPoolExecutor(len(requests)) as pool:
        answers: list[Future[dict[str, npt.NDArray[np.generic]]]] = [
            pool.submit(infer, triton, "lookup", IDS=ids) for ids in requests
        ]
    with pytest.raises(triton_grpc.InferenceServerException, match="indices"):
        answers.pop(1).result()
    del requests[1]
    for ids, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer.result()["ROWS"], TABLE[ids])
    assert executions(triton, "lookup") - before == 1


def test_weights_beside_the_graph_are_found(triton: triton_grpc.InferenceServerClient) -> None:
    ids = np.array([[7, 0], [9, 3]])
    np.testing.assert_array_equal(infer(triton, "outside", IDS=ids)["ROWS"], TABLE[ids])


def test_requests_of_different_shapes_are_answered(triton: triton_grpc.InferenceServerClient) -> None:
    requests = [np.full((2, length), length) for length in (1, 2, 3, 1)]
    with ThreadPoolExecutor(len(requests)) as pool:
        answers = list(pool.map(lambda ids: infer(triton, "lookup", IDS=ids), requests))
    for ids, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer["ROWS"], TABLE[ids])


@pytest.mark.parametrize(("model", "shape"), [("unbatched", (5,)), ("threads", (3, 1))])
def test_models_without_batches_and_with_bounded_threads(
    triton: triton_grpc.InferenceServerClient, model: str, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_array_equal(infer(triton, model, X=array)["Y"], 2 * array)


@pytest.mark.parametrize(("model", "kept"), [("keeps_memory", True), ("gives_memory_back", False)])
def test_memory_of_a_large_batch_is_given_back_where_the_configuration_says_so(
    triton: triton_grpc.InferenceServerClient, model: str, kept: bool
) -> None:
    triton.load_model(model)
    infer(triton, model, X=np.ones((1, 2, 1), np.float32))
    before = resident_bytes(model)
    large = np.ones((1, 8192, 1), np.float32)
    np.testing.assert_array_equal(infer(triton, model, X=large)["Y"], 1)
    grown = resident_bytes(model) - before
    assert (grown > 2**27) is kept, f"{grown / 2**20:.0f} MiB more, of {large.size**2 * 4 / 2**20:.0f}"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("no_number", "number of threads"),
        ("tensorrt", "gpu_execution_accelerator 'tensorrt', which this stand-in can't use"),
        ("openvino", "cpu_execution_accelerator 'openvino', which this stand-in can't use"),
        ("texts", "X of TYPE_STRING, which this stand-in can't pass on"),
        ("renamed", "outputs Z that the graph does not have; it has Y"),
    ],
)
def test_what_it_can_not_do_is_refused_in_words(
    triton: triton_grpc.InferenceServerClient, model: str, words: str
) -> None:
    with pytest.raises(triton_grpc.InferenceServerException, match=words):
        triton.load_model(model)


def resident_bytes(model: str) -> int:
    (stub,) = (each for each in psutil.Process().children(recursive=True) if f"{model}_0_0" in each.cmdline())
    return int(stub.memory_info().rss)


def executions(client: triton_grpc.InferenceServerClient, model: str) -> int:
    (statistics,) = client.get_inference_statistics(model).model_stats
    return int(statistics.execution_count)
