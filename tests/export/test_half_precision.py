"""Graphs that compute in FP16: the same boundaries, half the weights, a timestep that keeps its digits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from export.family import ExportReport
from export.half_precision import to_half
from export.loading import load
from export.options import ExportOptions
from export.precision import Precision
from export.verification import FP16_TOLERANCE, FP32_TOLERANCE
from tests.checkpoint import CHECKPOINT
from tests.export.test_family import GRAPHS, random_inputs


@pytest.fixture(scope="module")
def halved(exported: ExportReport, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("halved")
    graphs = {}
    for part in GRAPHS:
        graphs[part] = folder / f"{part}.onnx"
        shutil.copy(exported.repository / f"demo_{part}" / "1" / "model.onnx", graphs[part])
        to_half(graphs[part])
    return graphs


def boundaries(graph: Path) -> list[tuple[str, str, list[object]]]:
    session = onnxruntime.InferenceSession(graph)
    return [(tensor.name, tensor.type, tensor.shape) for tensor in (*session.get_inputs(), *session.get_outputs())]


@pytest.mark.parametrize("part", GRAPHS)
def test_the_boundaries_stay_and_the_weights_are_half(
    exported: ExportReport, halved: dict[str, Path], part: str
) -> None:
    whole = exported.repository / f"demo_{part}" / "1" / "model.onnx"
    assert boundaries(halved[part]) == boundaries(whole)
    assert halved[part].stat().st_size < 0.6 * whole.stat().st_size
    kinds = {tensor.data_type for tensor in onnx.load(halved[part]).graph.initializer if len(tensor.dims) > 1}
    assert kinds == {TensorProto.FLOAT16}


@pytest.mark.parametrize("part", GRAPHS)
def test_results_are_as_close_as_fp16_is(exported: ExportReport, halved: dict[str, Path], part: str) -> None:
    whole = onnxruntime.InferenceSession(exported.repository / f"demo_{part}" / "1" / "model.onnx")
    inputs = random_inputs(whole)
    ours = onnxruntime.InferenceSession(halved[part]).run(None, inputs)
    for name, half, full in zip(
        [item.name for item in whole.get_outputs()], ours, whole.run(None, inputs), strict=True
    ):
        difference = np.abs(half.astype(np.float64) - full.astype(np.float64)).max()
        if name == "LATENT_MASK":
            assert difference == 0
        else:
            assert 0 < difference <= (2 if full.dtype == np.uint8 else FP16_TOLERANCE.relative * np.abs(full).max())


def test_timesteps_that_fp16_can_not_tell_apart_are_told_apart(exported: ExportReport, halved: dict[str, Path]) -> None:
    unet = onnxruntime.InferenceSession(halved["unet"])
    inputs = random_inputs(unet)
    pair = np.array([987.2, 987.0], np.float32)
    assert len(set(pair.astype(np.float16))) == 1
    outputs = [unet.run(None, {**inputs, "timestep": np.full(3, timestep, np.float32)})[0] for timestep in pair]
    whole = onnxruntime.InferenceSession(exported.repository / "demo_unet" / "1" / "model.onnx")
    expected = [whole.run(None, {**inputs, "timestep": np.full(3, timestep, np.float32)})[0] for timestep in pair]
    change, expected_change = outputs[1] - outputs[0], expected[1] - expected[0]
    assert np.abs(change).max() > 0.5 * np.abs(expected_change).max() > 0


def test_a_vae_that_asks_for_fp32_keeps_it() -> None:
    checkpoint = load(ExportOptions(str(CHECKPOINT), "demo", Path("unused")))
    config = dict(checkpoint.vae.config)
    for named, precision in ((True, Precision.FP32), (False, Precision.FP16)):
        checkpoint.vae.register_to_config(force_upcast=named)
        assert Precision.FP16.of_part("vae_decoder", checkpoint) is precision
        assert Precision.FP16.of_part("unet", checkpoint) is Precision.FP16
    assert config["force_upcast"] is True


def test_fp16_is_judged_by_its_own_tolerance() -> None:
    assert Precision.FP16.tolerance == FP16_TOLERANCE
    assert Precision.FP32.tolerance == FP32_TOLERANCE
