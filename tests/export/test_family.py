"""An exported family: complete, equal to the one that is checked in, and versioned."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest

from export.demo_family import REPOSITORY, demo_options
from export.deployment import Deployment
from export.errors import IncompatibleFamily
from export.family import ExportReport, export_family
from export.model_configs import PARTS
from export.repository import Repository
from export.verification import FP16_TOLERANCE, FP32_TOLERANCE
from tests.checkpoint import CHECKPOINT

GRAPHS = [part for part in PARTS if part not in ("tokenizer", "text_encoder_2")]
DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}
# Sizes of the axes that vary, by the names that the graphs give them.
AXES = {"batch": 3, "tokens": 96, "latent_height": 12, "latent_width": 20, "height": 12, "width": 20}
PIXEL_AXES = {"batch": 3, "height": 96, "width": 160}


def files(repository: Path) -> list[Path]:
    return sorted(path.relative_to(repository) for path in repository.rglob("*") if path.is_file())


def session(repository: Path, part: str) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(repository / f"demo_{part}" / "1" / "model.onnx")


def random_inputs(graph: onnxruntime.InferenceSession) -> dict[str, npt.NDArray[np.generic]]:
    random = np.random.default_rng(0)
    inputs: dict[str, npt.NDArray[np.generic]] = {}
    for item in graph.get_inputs():
        axes = PIXEL_AXES if item.name in ("IMAGE", "MASK") else AXES
        shape = [axes.get(axis, axis) for axis in item.shape]
        dtype = DTYPES[item.type]
        if dtype is np.float32:
            scale = 500 if item.name == "timestep" else 1
            inputs[item.name] = random.normal(scale=scale, size=shape).astype(dtype)
        else:
            inputs[item.name] = random.integers(256, size=shape).astype(dtype)
    return inputs


def test_a_fresh_export_holds_the_same_files_and_configurations_as_the_repository(exported: ExportReport) -> None:
    fresh = files(exported.repository)
    assert fresh == [path for path in files(REPOSITORY) if path.name != "contact_sheet.png"]
    for path in fresh:
        # The record holds the graphs' hashes, which another machine's rounding changes.
        if path.suffix != ".onnx" and path.name != "export.json":
            assert (exported.repository / path).read_text() == (REPOSITORY / path).read_text(), path


@pytest.mark.parametrize("part", GRAPHS)
def test_a_fresh_export_computes_what_the_repository_computes(exported: ExportReport, part: str) -> None:
    fresh, checked_in = session(exported.repository, part), session(REPOSITORY, part)
    inputs = random_inputs(fresh)
    for ours, theirs in zip(fresh.run(None, inputs), checked_in.run(None, inputs), strict=True):
        scale = max(1.0, float(np.abs(theirs.astype(np.float64)).max()))
        np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("part", GRAPHS)
def test_graphs_are_old_enough_for_triton_and_name_nothing_of_this_machine(exported: ExportReport, part: str) -> None:
    path = exported.repository / f"demo_{part}" / "1" / "model.onnx"
    model = onnx.load(path)
    assert model.ir_version <= 10
    assert [opset.version for opset in model.opset_import if not opset.domain] < [21]
    assert str(CHECKPOINT).encode() not in path.read_bytes()


def test_every_graph_was_compared_at_two_batch_sizes_and_two_resolutions(exported: ExportReport) -> None:
    for part in GRAPHS:
        compared = [comparison for comparison in exported.comparisons if comparison.part == part]
        assert {comparison.shape[0] for comparison in compared} == {2, 3}
        for output in {comparison.output for comparison in compared}:
            assert len({comparison.shape[1:] for comparison in compared if comparison.output == output}) == 2
        assert all(comparison.within(FP32_TOLERANCE) for comparison in compared)


def test_every_row_has_its_own_timestep(exported: ExportReport) -> None:
    unet = session(exported.repository, "unet")
    inputs = random_inputs(unet)
    inputs["timestep"] = np.array([999.0, 500.5, 1.0], np.float32)
    (together,) = unet.run(None, inputs)
    for row in range(3):
        (alone,) = unet.run(None, {name: array[row : row + 1] for name, array in inputs.items()})
        np.testing.assert_allclose(together[row], alone[0], rtol=0, atol=1e-4)
    (shifted,) = unet.run(None, {**inputs, "timestep": inputs["timestep"][::-1].copy()})
    assert np.abs(shifted[0] - together[0]).max() > 0.1


def test_windows_of_text_are_encoded_apart(exported: ExportReport) -> None:
    encoder = session(exported.repository, "text_encoder")
    ids = np.random.default_rng(1).integers(700, size=(2, 96))
    (both,) = encoder.run(None, {"INPUT_IDS": ids})
    (first,) = encoder.run(None, {"INPUT_IDS": ids[:, :48]})
    (second,) = encoder.run(None, {"INPUT_IDS": ids[:, 48:]})
    np.testing.assert_allclose(both, np.concatenate([first, second], axis=1), rtol=0, atol=1e-4)


def test_another_export_takes_the_next_version_and_waits_to_be_activated(
    exported: ExportReport, tmp_path: Path
) -> None:
    repository = tmp_path / "model_repository"
    shutil.copytree(exported.repository, repository)
    report = export_family(demo_options(repository, CHECKPOINT), lambda sentence: None)
    assert (exported.version, exported.active, report.version, report.active) == (1, 1, 2, 1)
    versions = Deployment.open(Repository(repository), "demo").versions()
    assert [(version.number, version.active, version.missing) for version in versions] == [
        (1, True, ()),
        (2, False, ()),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_repository"]


def test_a_family_of_other_models_is_refused(exported: ExportReport, tmp_path: Path) -> None:
    """Such as one that an older export made; versions share their ensembles."""
    repository = tmp_path / "model_repository"
    shutil.copytree(exported.repository, repository, ignore=shutil.ignore_patterns("demo_inpaint*"))
    with pytest.raises(IncompatibleFamily, match=r"demo_inpaint, demo_inpaint_encoder.*another name"):
        export_family(demo_options(repository, CHECKPOINT), lambda sentence: None)


def test_only_larger_pictures_are_given_more_and_never_more_than_half_precision() -> None:
    assert FP32_TOLERANCE.summed_over(64 * 64) == FP32_TOLERANCE.summed_over(128 * 128) == FP32_TOLERANCE
    assert FP32_TOLERANCE.summed_over(512 * 512).relative == pytest.approx(16 * FP32_TOLERANCE.relative)
    assert FP32_TOLERANCE.summed_over(8192 * 8192).relative == FP16_TOLERANCE.relative
    assert FP16_TOLERANCE.summed_over(512 * 512) == FP16_TOLERANCE
