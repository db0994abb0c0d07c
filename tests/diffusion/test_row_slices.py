"""Steps in slices of rows, and the session that takes them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from diffusion_engine.row_slices import RowSlices
from diffusion_engine.session import UNetSession
from onnx import TensorProto, helper

Array = npt.NDArray[np.float32]


class MeetingSession:
    """Answers only once as many threads run it as there are cores."""

    def __init__(self, cores: int) -> None:
        self._all = threading.Barrier(cores, timeout=20)
        self.rows: list[int] = []

    def run(self, _: None, feeds: Mapping[str, Array]) -> list[Array]:
        self.rows.append(len(feeds["sample"]))
        self._all.wait()
        if np.isnan(feeds["sample"]).any():
            raise RuntimeError("not a number")
        return [feeds["sample"] * feeds["timestep"][:, None]]


def test_every_core_takes_as_many_rows_at_the_same_time() -> None:
    session = MeetingSession(3)
    slices = RowSlices(session, 3)  # type: ignore[arg-type]
    sample, timestep = np.arange(12, dtype=np.float32).reshape(6, 2), np.arange(6, dtype=np.float32)
    np.testing.assert_array_equal(slices.run({"sample": sample, "timestep": timestep}), sample * timestep[:, None])
    assert session.rows == [2, 2, 2]
    assert [rows for rows in range(1, 10) if slices.fit(rows)] == [3, 6, 9]


@pytest.mark.parametrize("broken", [0, 1])
def test_a_slice_that_fails_fails_the_step_and_not_the_next(broken: int) -> None:
    slices = RowSlices(MeetingSession(2), 2)  # type: ignore[arg-type]
    sample, timestep = np.ones((2, 2), np.float32), np.ones(2, np.float32)
    failing = sample.copy()
    failing[broken] = np.nan
    with pytest.raises(RuntimeError, match="not a number"):
        slices.run({"sample": failing, "timestep": timestep})
    np.testing.assert_array_equal(slices.run({"sample": sample, "timestep": timestep}), sample)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A graph with a UNet's inputs: sample times timestep."""
    inputs = [
        helper.make_tensor_value_info("sample", TensorProto.FLOAT, ["rows", 4, 2, 2]),
        helper.make_tensor_value_info("timestep", TensorProto.FLOAT, ["rows"]),
    ]
    nodes = [
        helper.make_node("Unsqueeze", ["timestep", "axes"], ["column"]),
        helper.make_node("Mul", ["sample", "column"], ["output"]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["rows", 4, 2, 2])
    axes = helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3])
    model = helper.make_model(
        helper.make_graph(nodes, "unet", inputs, [output], [axes]), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 9])
def test_any_number_of_rows_is_computed_on_one_core_and_on_all(graph: Path, threads: int, rows: int) -> None:
    session = UNetSession(graph, ("cpu",), threads)
    assert session.workers == threads
    sample = np.random.default_rng(rows).standard_normal((rows, 4, 2, 2), np.float32)
    timestep = np.arange(rows, dtype=np.float32)
    for one_core in (False, True):
        output = session.run(sample, timestep, {}, one_core)
        np.testing.assert_array_equal(output, sample * timestep[:, None, None, None])


def test_memory_is_planned_for_a_bounded_number_of_shapes_and_others_are_computed_too(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusion_engine.session._MOST_PLANS", 3)
    session = UNetSession(graph, ("cpu",), 2)
    planned: list[int] = []

    class Recording:
        def run(self, outputs: None, feeds: Mapping[str, Array]) -> list[Array]:
            planned.append(len(feeds["sample"]))
            return single.run(outputs, feeds)  # type: ignore[no-any-return]

    single = session._single
    session._single = session._slices._session = Recording()  # type: ignore[assignment,union-attr]
    for rows, one_core in ((1, True), (4, False), (5, True), (6, True), (7, True), (12, False), (2, True)):
        sample, timestep = np.ones((rows, 4, 2, 2), np.float32), np.arange(rows, dtype=np.float32)
        output = session.run(sample, timestep, {}, one_core)
        np.testing.assert_array_equal(output, sample * timestep[:, None, None, None])
    assert planned == [1, 2, 2, 5, 2]


def test_what_was_measured_is_measured_again_where_the_threads_or_the_weights_differ(graph: Path) -> None:
    fingerprints = {UNetSession(graph, ("cpu",), threads).fingerprint for threads in (1, 2, 3)}
    before = UNetSession(graph, ("cpu",), 1).fingerprint
    graph.with_name("model.onnx.data").write_bytes(b"weights")
    assert len(fingerprints) == 3 and before in fingerprints
    assert UNetSession(graph, ("cpu",), 1).fingerprint not in fingerprints
