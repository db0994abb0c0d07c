"""What an export says of itself: pictures beside torch's, and a record in every version folder."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from export.checkpoint import Checkpoint
from export.family import ExportReport
from export.model_configs import PARTS
from export.quality import MAX_STEPS, PROMPTS, QualityCheck
from export.similarity import Similarity
from tests.checkpoint import CHECKPOINT


def record(exported: ExportReport, part: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((exported.repository / f"demo_{part}" / "1" / "export.json").read_text())
    return document


def test_equal_and_different_pictures_are_told_apart() -> None:
    picture = np.random.default_rng(0).integers(256, size=(32, 32, 3)).astype(np.uint8)
    same = Similarity.of(picture, picture)
    assert (same.psnr, same.ssim) == (math.inf, pytest.approx(1))
    # Off by one everywhere: 20 log10(255).
    assert Similarity.of(picture // 2 + 1, picture // 2).psnr == pytest.approx(48.13, abs=0.01)
    assert Similarity.of(picture[::-1], picture).ssim < 0.2


def test_the_exported_graphs_paint_what_torch_paints(exported: ExportReport) -> None:
    quality = exported.quality
    assert quality is not None
    assert (quality.scheduler, quality.steps, quality.width, quality.height) == ("DDIMScheduler", MAX_STEPS, 128, 128)
    assert [painted.prompt for painted in quality.prompts] == list(PROMPTS)
    for painted in quality.prompts:
        assert painted.similarity.psnr >= 60
        assert painted.similarity.ssim >= 0.99


@pytest.mark.parametrize("part", ["text_encoder", "unet"])
def test_a_graph_that_ignores_its_input_shows(exported: ExportReport, part: str, tmp_path: Path) -> None:
    import onnx

    graphs = {part: exported.repository / f"demo_{part}" / "1" / "model.onnx" for part in PARTS}
    model = onnx.load(graphs[part])
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["computed" if name == output else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Sub", ["computed", "computed"], [output]))
    onnx.save(model, tmp_path / "model.onnx")
    check = QualityCheck(Checkpoint.load(str(CHECKPOINT)), 2, 5.0)
    quality, pairs = check.run({**graphs, part: tmp_path / "model.onnx"}, lambda: None)
    assert all(painted.similarity.psnr < 25 for painted in quality.prompts)
    assert not np.array_equal(pairs[0].reference, pairs[1].reference)


def test_every_version_folder_holds_a_record(exported: ExportReport) -> None:
    for part in PARTS:
        document = record(exported, part)
        folder = exported.repository / f"demo_{part}" / "1"
        assert (document["family"], document["version"], document["part"]) == ("demo", 1, part)
        assert document["sha256"] == {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.iterdir()
            if file.name != "export.json"
        }
        weights = CHECKPOINT / "unet" / "diffusion_pytorch_model.safetensors"
        source = document["source"]
        assert isinstance(source, dict)
        assert source["name"] == "export/demo/checkpoint"
        assert (
            source["sha256"]["unet/diffusion_pytorch_model.safetensors"]
            == hashlib.sha256(weights.read_bytes()).hexdigest()
        )
        packages = document["packages"]
        assert isinstance(packages, dict)
        assert packages["onnxruntime"] == onnxruntime.__version__
        assert str(CHECKPOINT) not in json.dumps(document)
        assert bool(document["comparisons"]) == (part != "tokenizer")
        assert document["precision"] == (None if part == "tokenizer" else "fp32")
        assert bool(document["quality"]) == (part == "unet")


def test_the_contact_sheet_shows_both_pictures_of_every_prompt(exported: ExportReport) -> None:
    with Image.open(exported.repository / "demo_unet" / "1" / "contact_sheet.png") as sheet:
        assert sheet.width >= 2 * 128
        assert sheet.height >= len(PROMPTS) * 128
        assert len(sheet.convert("RGB").getcolors(sheet.width * sheet.height)) > 1000
