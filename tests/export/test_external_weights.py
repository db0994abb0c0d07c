"""Graphs whose weights lie beside them, as those beyond 2 GB do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from diffusion_engine.session import UNetSession

from export.external_weights import gather, weights_path
from export.family import ExportReport
from export.half_precision import to_half


def scatter(graph: Path, folder: Path) -> Path:
    """The graph with a file for each weight, as torch's exporter leaves a large one."""
    folder.mkdir()
    scattered = folder / "model.onnx"
    onnx.save_model(
        onnx.load(graph), scattered, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=1024
    )
    return scattered


@pytest.fixture
def unet(exported: ExportReport, tmp_path: Path) -> Path:
    return Path(shutil.copy(exported.repository / "demo_unet" / "1" / "model.onnx", tmp_path))


def run(graph: Path) -> np.ndarray:
    session = UNetSession(graph, ("cpu",), 0)
    random = np.random.default_rng(0)
    sample, text = random.normal(size=(2, 4, 8, 12)), random.normal(size=(2, 48, 128))
    conditions = {"encoder_hidden_states": text.astype(np.float32)}
    return session.run(sample.astype(np.float32), np.array([987.25, 3.5], np.float32), conditions)


def test_one_file_takes_them_all_and_the_graph_computes_the_same(unet: Path, tmp_path: Path) -> None:
    graph = scatter(unet, tmp_path / "scattered")
    assert len(list(graph.parent.iterdir())) > 100
    gather(graph)
    assert sorted(graph.parent.iterdir()) == [graph, weights_path(graph)]
    assert graph.stat().st_size < 0.1 * weights_path(graph).stat().st_size
    np.testing.assert_array_equal(run(graph), run(unet))


def test_a_graph_that_holds_its_weights_is_left_alone(unet: Path) -> None:
    before = unet.read_bytes()
    gather(unet)
    assert unet.read_bytes() == before
    assert not weights_path(unet).exists()


def test_in_fp16_the_weights_beside_the_graph_equal_those_inside(unet: Path, tmp_path: Path) -> None:
    graph = scatter(unet, tmp_path / "scattered")
    gather(graph)
    to_half(graph)
    to_half(unet)
    assert sorted(graph.parent.iterdir()) == [graph, weights_path(graph)]
    np.testing.assert_array_equal(run(graph), run(unet))


def test_a_missing_weights_file_is_named(unet: Path, tmp_path: Path) -> None:
    graph = scatter(unet, tmp_path / "scattered")
    gather(graph)
    weights_path(graph).unlink()
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.Fail, match=r"model\.onnx\.data"):
        run(graph)


def test_a_weight_that_a_full_disk_cut_off_is_told(unet: Path, tmp_path: Path) -> None:
    graph = scatter(unet, tmp_path / "scattered")
    largest = max(graph.parent.iterdir(), key=lambda file: file.stat().st_size * (file != graph))
    os.truncate(largest, largest.stat().st_size - 1)
    with pytest.raises(OSError, match="No space left"):
        gather(graph)
