"""A checkpoint whose UNet takes nine channels: latents, mask and the masked image's latents."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from diffusers import UNet2DConditionModel

from export.config_text import from_text
from export.demo_family import demo_options
from export.deployment import Deployment
from export.errors import IncompatibleFamily, UnsupportedCheckpoint
from export.family import ExportReport, export_family
from export.options import ExportOptions
from export.repository import Repository
from tests.checkpoint import CHECKPOINT


def make(folder: Path, channels: int, pipeline: str = "StableDiffusionInpaintPipeline") -> Path:
    """The demo checkpoint with a small random UNet that takes so many channels."""
    shutil.copytree(CHECKPOINT, folder, ignore=shutil.ignore_patterns("unet"))
    config: dict[str, Any] = json.loads((CHECKPOINT / "unet" / "config.json").read_text())
    config |= {"in_channels": channels, "block_out_channels": [16, 32, 32], "norm_num_groups": 8}
    torch.manual_seed(0)
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": pipeline}))
    return folder


@pytest.fixture(scope="module")
def inpainting(tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    folder = tmp_path_factory.mktemp("inpainting")
    options = ExportOptions(str(make(folder / "checkpoint", 9)), "brush", folder / "model_repository")
    return export_family(options, lambda sentence: None)


def parameters(repository: Path, model: str) -> dict[str, str]:
    config = from_text((repository / model / "config.pbtxt").read_text())
    return {key: value.string_value for key, value in config.parameters.items()}


def test_it_becomes_a_family_that_can_only_inpaint(inpainting: ExportReport) -> None:
    assert sorted(path.name for path in inpainting.repository.iterdir()) == [
        "brush_inpaint",
        "brush_inpaint_encoder",
        "brush_text_encoder",
        "brush_tokenizer",
        "brush_unet",
        "brush_vae_decoder",
        "catalog",
    ]
    assert set(inpainting.models) == {path.name for path in inpainting.repository.iterdir()} - {"catalog"}
    family = parameters(inpainting.repository, "brush_inpaint")
    assert family["family"] == "brush"
    assert family["version"] == "1"
    assert json.loads(family["capabilities"]) == ["inpainting"]


def test_its_unet_takes_nine_channels_and_predicts_four(inpainting: ExportReport) -> None:
    unet = parameters(inpainting.repository, "brush_unet")
    assert (unet["unet_channels"], unet["latent_channels"]) == ("9", "4")
    graph = onnxruntime.InferenceSession(inpainting.repository / "brush_unet" / "1" / "model.onnx")
    assert {item.name: item.shape for item in graph.get_inputs()}["sample"][1] == 9
    compared = [comparison for comparison in inpainting.comparisons if comparison.part == "unet"]
    assert {comparison.shape[0] for comparison in compared} == {2, 3}
    assert {comparison.shape[1] for comparison in compared} == {4}


@pytest.fixture
def no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves version folders empty, where only names and configurations are looked at: graphs take half a minute."""
    monkeypatch.setattr("export.family._write_part", lambda *_: [])


@pytest.mark.usefixtures("no_graphs")
def test_it_can_be_exported_again(inpainting: ExportReport, tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    shutil.copytree(inpainting.repository, repository)
    checkpoint = inpainting.repository.parent / "checkpoint"
    report = export_family(ExportOptions(str(checkpoint), "brush", repository), lambda sentence: None)
    assert (report.version, report.active) == (2, 1)
    served = Repository(repository)
    with served.staging() as staged:
        Deployment.open(served, "brush").activate(staged, 2)
    assert parameters(repository, "brush_inpaint")["version"] == "2"


def test_it_does_not_replace_a_family_of_four_channels_nor_the_other_way_round(
    inpainting: ExportReport, exported: ExportReport, tmp_path: Path
) -> None:
    checkpoint = inpainting.repository.parent / "checkpoint"
    repository = tmp_path / "four"
    shutil.copytree(exported.repository, repository)
    with pytest.raises(IncompatibleFamily, match="another name"):
        export_family(ExportOptions(str(checkpoint), "demo", repository), lambda sentence: None)
    repository = tmp_path / "nine"
    for folder in inpainting.repository.iterdir():
        target = repository / folder.name.replace("brush", "demo")
        shutil.copytree(folder, target)
        config = target / "config.pbtxt"
        config.write_text(config.read_text().replace("brush", "demo"))
    with pytest.raises(IncompatibleFamily, match=r"unet_channels.*another name"):
        export_family(demo_options(repository, CHECKPOINT), lambda sentence: None)


@pytest.mark.parametrize("channels", [5, 8])
def test_another_number_of_channels_is_refused(tmp_path: Path, channels: int) -> None:
    checkpoint = make(tmp_path / "checkpoint", channels)
    with pytest.raises(UnsupportedCheckpoint, match=rf"in_channels {channels}; only 4 .* 9"):
        export_family(ExportOptions(str(checkpoint), "brush", tmp_path / "repository"), lambda sentence: None)
    assert not (tmp_path / "repository").exists()


@pytest.mark.usefixtures("no_graphs")
def test_an_inpainting_pipeline_of_four_channels_becomes_a_whole_family(tmp_path: Path) -> None:
    checkpoint = make(tmp_path / "checkpoint", 4)
    report = export_family(ExportOptions(str(checkpoint), "brush", tmp_path / "repository"), lambda sentence: None)
    assert {"brush", "brush_image_to_image", "brush_inpaint"} <= set(report.models)
