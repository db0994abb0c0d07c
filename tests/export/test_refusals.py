"""What can't be exported is refused in a sentence, and the repository stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.errors import (
    ExportError,
    IncompleteCheckpoint,
    InvalidOption,
    NotACheckpoint,
    UnsupportedCheckpoint,
)
from export.family import export_family
from export.options import ExportOptions
from export.verification import Tolerance

Spoil = Callable[[Path], object]


def edit(file: str, **changes: object) -> Spoil:
    def spoil(checkpoint: Path) -> None:
        path = checkpoint / file
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def snapshot(folder: Path) -> dict[Path, tuple[int, bytes | None]]:
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with an unrelated model and a leftover of a family."""
    folder = tmp_path / "served" / "model_repository"
    for path in ("other/1/weights", "other/config.pbtxt", "demo_unet/1/model.onnx"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f'name: "{path}"')
    return folder


def refuse(options: ExportOptions, error: type[ExportError], words: str) -> None:
    before = snapshot(options.repository.parent)
    with pytest.raises(error, match=words) as caught:
        export_family(options, lambda sentence: None)
    assert "\n" not in str(caught.value)
    assert snapshot(options.repository.parent) == before


SPOILED: list[tuple[str, Spoil, type[ExportError], str]] = [
    ("no index", lambda folder: (folder / "model_index.json").unlink(), NotACheckpoint, "model_index.json"),
    (
        "SD 3",
        edit("model_index.json", _class_name="StableDiffusion3Pipeline"),
        UnsupportedCheckpoint,
        "is a StableDiffusion3Pipeline; only checkpoints of",
    ),
    (
        "SDXL's index alone",
        edit("model_index.json", _class_name="StableDiffusionXLPipeline"),
        IncompleteCheckpoint,
        "no tokenizer_2",
    ),
    (
        "other text encoder",
        edit("model_index.json", text_encoder=["transformers", "T5EncoderModel"]),
        UnsupportedCheckpoint,
        "T5EncoderModel",
    ),
    ("unlisted VAE", edit("model_index.json", vae=[None, None]), IncompleteCheckpoint, "no vae"),
    ("no scheduler folder", lambda folder: _remove(folder / "scheduler"), IncompleteCheckpoint, "scheduler"),
    (
        "no UNet weights",
        lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink(),
        IncompleteCheckpoint,
        "can't be loaded",
    ),
    (
        "cut weights",
        lambda folder: _cut(folder / "text_encoder" / "model.safetensors"),
        IncompleteCheckpoint,
        "can't be loaded",
    ),
    ("wrong width", edit("text_encoder/config.json", hidden_size=64), IncompleteCheckpoint, "can't be loaded"),
    ("no vocabulary", lambda folder: (folder / "tokenizer" / "vocab.json").unlink(), IncompleteCheckpoint, "loaded"),
    ("index of another form", lambda folder: (folder / "model_index.json").write_text("[]"), NotACheckpoint, "object"),
    (
        "no VAE config",
        lambda folder: (folder / "vae" / "config.json").unlink(),
        IncompleteCheckpoint,
        "vae",
    ),
    (
        "class embedding",
        edit("unet/config.json", num_class_embeds=64),
        UnsupportedCheckpoint,
        "num_class_embeds",
    ),
    ("added embedding", edit("unet/config.json", addition_embed_type="text_time"), UnsupportedCheckpoint, "text_time"),
    ("latent mean", edit("vae/config.json", latents_mean=[0.0] * 4), UnsupportedCheckpoint, "latents_mean"),
    ("latent shift", edit("vae/config.json", shift_factor=0.1), UnsupportedCheckpoint, "shift_factor"),
    (
        "scheduler key",
        edit("scheduler/scheduler_config.json", thresholding=True),
        UnsupportedCheckpoint,
        "thresholding",
    ),
]


def _cut(weights: Path) -> None:
    start = weights.read_bytes()[:10_000]
    weights.unlink()
    weights.write_bytes(start)


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize(("spoil", "error", "words"), [case[1:] for case in SPOILED], ids=[case[0] for case in SPOILED])
def test_a_checkpoint_that_does_not_fit_is_refused(
    checkpoint: Path, repository: Path, spoil: Spoil, error: type[ExportError], words: str
) -> None:
    spoil(checkpoint)
    refuse(ExportOptions(str(checkpoint), "demo", repository), error, words)


def test_a_single_file_whose_configs_are_out_of_reach_is_refused(checkpoint: Path, repository: Path) -> None:
    file = checkpoint / "unet" / "diffusion_pytorch_model.safetensors"
    refuse(ExportOptions(str(file), "demo", repository), NotACheckpoint, "with --config")


@pytest.mark.parametrize("name", ["", "Demo", "1demo", "de-mo", "../demo", "catalog", "demo_unet", "d" * 64])
def test_a_name_that_models_could_not_have_is_refused(repository: Path, name: str) -> None:
    refuse(ExportOptions("anything", name, repository), InvalidOption, "name")


@pytest.mark.parametrize("change", [{"default_steps": 0}, {"default_steps": 101}, {"default_guidance_scale": 31.0}])
def test_a_default_out_of_range_is_refused(repository: Path, change: dict[str, Any]) -> None:
    refuse(ExportOptions("anything", "demo", repository, **change), InvalidOption, "default")


def test_a_graph_that_differs_from_the_checkpoint_is_refused(
    checkpoint: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.precision.FP32_TOLERANCE", Tolerance(relative=0.0, levels=0, share=0.0))
    refuse(ExportOptions(str(checkpoint), "fresh", repository), ExportError, "differs from the checkpoint")
