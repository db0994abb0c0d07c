"""An exported upscaler: compared with torch, versioned, equal to the one that is checked in; bad files are refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from spandrel import ModelLoader
from spandrel.architectures.Compact import Compact
from spandrel.architectures.SPAN import SPAN
from spandrel.architectures.SwinIR import SwinIR
from torch import nn

from export.demo_family import REPOSITORY, UPSCALER
from export.deployment import Deployment
from export.errors import ExportError, IncompatibleFamily, NoSuchFamily
from export.reach import measure_reach
from export.repository import Repository
from export.upscaler import UpscalerReport, export_upscaler
from export.upscaler_command import upscaler_command


def silent(sentence: str) -> None:
    pass


def saved(module: nn.Module, path: Path) -> Path:
    save_file(module.state_dict(), path)
    return path


def upscaled(repository: Path, model: str, pixels: npt.NDArray[np.uint8]) -> Any:
    session = onnxruntime.InferenceSession(repository / model / "1" / "model.onnx")
    return session.run(["UPSCALED"], {"IMAGE": pixels[None]})[0][0]


def test_a_fresh_export_is_what_the_repository_holds(exported_upscaler: UpscalerReport) -> None:
    for path in (exported_upscaler.repository / "upscaler_x2").rglob("*.pbtxt"):
        assert path.read_text() == (REPOSITORY / path.relative_to(exported_upscaler.repository)).read_text()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3)).astype(np.uint8)
    fresh, checked_in = (
        upscaled(folder, "upscaler_x2", pixels) for folder in (exported_upscaler.repository, REPOSITORY)
    )
    assert np.abs(fresh.astype(int) - checked_in).max() <= 1


def test_it_computes_what_spandrel_computes(exported_upscaler: UpscalerReport) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (33, 70, 3)).astype(np.uint8)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    expected = ModelLoader().load_from_file(UPSCALER)(image)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(upscaled(exported_upscaler.repository, "upscaler_x2", pixels) - expected).max() < 0.51
    assert {comparison.shape[0] for comparison in exported_upscaler.comparisons} == {2, 3}


def test_it_is_batched_dynamically_and_tells_what_a_front_must_know(exported_upscaler: UpscalerReport) -> None:
    config = Repository(exported_upscaler.repository).config("upscaler_x2")
    assert config is not None
    assert config.HasField("dynamic_batching")
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    assert parameters["upscale_factor"] == "2"
    assert parameters["version"] == "1"
    assert 0 < int(parameters["reach"]) <= 12
    assert parameters["architecture"] == "RealESRGAN Compact"


def test_another_export_takes_the_next_version_and_keeps_the_one_before(tmp_path: Path) -> None:
    repository = tmp_path / "model_repository"
    for version in (1, 2, 3):
        torch.manual_seed(version)
        checkpoint = saved(Compact(num_feat=4, num_conv=1, upscale=2), tmp_path / f"{version}.safetensors")
        assert export_upscaler(checkpoint, repository, silent).version == version
    assert sorted(path.name for path in (repository / "upscaler_x2").iterdir()) == ["2", "3", "config.pbtxt"]
    config = Repository(repository).config("upscaler_x2")
    assert config is not None and config.parameters["version"].string_value == "3"


def test_it_has_no_versions_to_go_back_to(exported_upscaler: UpscalerReport) -> None:
    with pytest.raises(NoSuchFamily, match=r"'upscaler_x2' is an upscaler.*export the other checkpoint again"):
        Deployment.open(Repository(exported_upscaler.repository), "upscaler_x2")


def test_a_network_with_window_attention_gets_a_graph_of_one_shape(tmp_path: Path) -> None:
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # of torch.meshgrid in spandrel's code; pytest restores the filters
    network = SwinIR(
        img_size=16, window_size=8, depths=[2], embed_dim=8, num_heads=[2], mlp_ratio=2, upscale=2, img_range=1.0,
        upsampler="pixelshuffledirect",
    )  # fmt: skip
    export_upscaler(saved(network, tmp_path / "swin.safetensors"), tmp_path / "model_repository", silent)
    config = Repository(tmp_path / "model_repository").config("upscaler_x2")
    assert config is not None and config.max_batch_size == 1
    assert config.parameters["smallest_tile"] == config.parameters["largest_tile"]
    with pytest.raises(IncompatibleFamily, match="remove"):
        export_upscaler(UPSCALER, tmp_path / "model_repository", silent)


def test_other_architectures_are_exported_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint = saved(SPAN(num_in_ch=3, num_out_ch=3, feature_channels=4, upscale=4), tmp_path / "span.safetensors")
    assert export_upscaler(checkpoint, tmp_path / "model_repository", silent).model == "upscaler_x4"


@pytest.mark.parametrize("looks", [3, 10, 20])
def test_reach_is_how_far_a_network_looks(looks: int) -> None:
    kernel = torch.zeros(1, 1, 2 * looks + 1, 2 * looks + 1)
    kernel[..., 0, looks] = kernel[..., looks, looks] = 0.5

    class Shifted(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(pixels[:, :1], kernel, padding=looks)

    assert measure_reach(Shifted(), 1, 16) == {3: 4, 10: 12, 20: 24}[looks]


def damaged(path: Path) -> Path:
    path = path.with_suffix(".safetensors")
    path.write_bytes(UPSCALER.read_bytes()[:2000])
    return path


def text(path: Path) -> Path:
    path = path.with_suffix(".pth")
    path.write_text("no weights")
    return path


def other_weights(path: Path) -> Path:
    return saved(nn.Linear(2, 2), path.with_suffix(".safetensors"))


def gray(path: Path) -> Path:
    return saved(
        Compact(num_in_ch=1, num_out_ch=1, num_feat=4, num_conv=1, upscale=2), path.with_suffix(".safetensors")
    )


def same_size(path: Path) -> Path:
    return saved(Compact(num_feat=4, num_conv=1, upscale=1), path.with_suffix(".safetensors"))


def absent(path: Path) -> Path:
    return path.with_suffix(".safetensors")


def picture(path: Path) -> Path:
    path = path.with_suffix(".png")
    path.write_bytes(b"\x89PNG")
    return path


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (absent, "is no file that ends in"),
        (picture, "is no file that ends in"),
        (damaged, "is damaged"),
        (text, "can't be loaded"),
        (other_weights, "no architecture that spandrel knows"),
        (gray, "takes 1 channels and makes 1; both must be 3"),
        (same_size, "is for Restoration|1 times as large"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_leaves_nothing(
    tmp_path: Path, make: Callable[[Path], Path], told: str
) -> None:
    path = make(tmp_path / "network")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExportError, match=told):
        export_upscaler(path, tmp_path / "model_repository", silent)
    assert sorted(tmp_path.iterdir()) == before


def test_a_model_of_that_name_that_is_no_upscaler_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "model_repository" / "upscaler_x2"
    folder.mkdir(parents=True)
    (folder / "config.pbtxt").write_text('backend: "python"')
    with pytest.raises(IncompatibleFamily, match="is no upscaler"):
        export_upscaler(UPSCALER, folder.parent, silent)
    assert [path.name for path in folder.iterdir()] == ["config.pbtxt"]


def test_the_command_says_in_one_sentence_what_is_wrong(tmp_path: Path) -> None:
    result = CliRunner().invoke(upscaler_command, [str(tmp_path / "no.pth"), "--repository", str(tmp_path / "models")])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("Error: ")
