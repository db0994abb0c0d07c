"""What an export says of itself: pictures beside torch's, and a record in every version folder."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from export.contact_sheet import write_contact_sheet
from export.family import ExportReport
from export.loading import load
from export.model_configs import PARTS
from export.options import ExportOptions
from export.quality import MAX_STEPS, PROMPTS, QualityCheck
from export.similarity import Similarity
from tests.checkpoint import CHECKPOINT


def test_equal_and_different_pictures_are_told_apart() -> None:
    picture = np.random.default_rng(0).integers(256, size=(32, 32, 3)).astype(np.uint8)
    same = Similarity.of(picture, picture)
    assert (same.psnr, same.ssim) == (math.inf, pytest.approx(1))
    # Off by one everywhere: 20 log10(255).
    assert Similarity.of(picture // 2 + 1, picture // 2).psnr == pytest.approx(48.13, abs=0.01)
    assert Similarity.of(picture[::-1], picture).ssim < 0.2


def graphs(exported: ExportReport) -> dict[str, Path]:
    return {
        part: exported.repository / f"demo_{part}" / "1" / "model.onnx"
        for part in ("text_encoder", "unet", "vae_decoder")
    }


@pytest.fixture(scope="module")
def check() -> QualityCheck:
    return QualityCheck(load(ExportOptions(str(CHECKPOINT), "demo", Path("unused"))), 2, 5.0)


def test_the_exported_graphs_paint_what_torch_paints(
    exported: ExportReport, check: QualityCheck, tmp_path: Path
) -> None:
    steps: list[None] = []
    quality, pairs = check.run(graphs(exported), lambda: steps.append(None))
    assert len(steps) == check.total_steps == 2 * 2 * len(PROMPTS)
    assert (quality.scheduler, quality.steps, quality.width, quality.height) == ("DDIMScheduler", 2, 128, 128)
    assert [painted.prompt for painted in quality.prompts] == list(PROMPTS)
    for painted in quality.prompts:
        assert painted.similarity.psnr >= 60
        assert painted.similarity.ssim >= 0.99
    assert Similarity.of(pairs[0].reference, pairs[1].reference).psnr < 25
    write_contact_sheet(pairs, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width >= 2 * 128
        assert sheet.height >= len(PROMPTS) * 128
        colours = sheet.getcolors(sheet.width * sheet.height)
        assert colours is not None and len(colours) > 1000


@pytest.mark.parametrize("part", ["text_encoder", "unet"])
def test_a_graph_that_ignores_its_input_shows(
    exported: ExportReport, check: QualityCheck, part: str, tmp_path: Path
) -> None:
    model = onnx.load(graphs(exported)[part])
    output = model.graph.output[0].name
    for node in model.graph.node:
        node.output[:] = ["computed" if name == output else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Sub", ["computed", "computed"], [output]))
    onnx.save(model, tmp_path / "model.onnx")
    quality, _ = check.run({**graphs(exported), part: tmp_path / "model.onnx"}, lambda: None)
    assert all(painted.similarity.psnr < 25 for painted in quality.prompts)


def test_steps_are_bounded() -> None:
    checkpoint = load(ExportOptions(str(CHECKPOINT), "demo", Path("unused")))
    assert QualityCheck(checkpoint, 20, 5.0).total_steps == 2 * MAX_STEPS * len(PROMPTS)


def test_every_version_folder_holds_a_record(exported: ExportReport) -> None:
    for part in (part for part in PARTS if part != "text_encoder_2"):
        folder = exported.repository / f"demo_{part}" / "1"
        record: dict[str, Any] = json.loads((folder / "export.json").read_text())
        assert (record["family"], record["version"], record["part"]) == ("demo", 1, part)
        assert record["sha256"] == {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in folder.iterdir()
            if file.is_file() and file.name != "export.json"
        }
        weights = CHECKPOINT / "unet" / "diffusion_pytorch_model.safetensors"
        assert record["source"]["name"] == "export/demo/checkpoint"
        hashes = record["source"]["sha256"]
        assert hashes[weights.relative_to(CHECKPOINT).as_posix()] == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert record["packages"]["onnxruntime"] == onnxruntime.__version__
        assert str(CHECKPOINT) not in json.dumps(record)
        assert bool(record["comparisons"]) == (part != "tokenizer")
        assert record["precision"] == (None if part == "tokenizer" else "fp32")
        assert (record["target"], record["built_with"], record["quality"]) == ("cpu", None, None)
