"""Where weights come from: single files, another VAE, LoRAs; and the names under which a checkpoint is known."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from safetensors.torch import save_file

from export.errors import ExportError, IncompleteCheckpoint, InvalidLora, InvalidOption, InvalidVae, NotACheckpoint
from export.known_models import usual_names
from export.loading import load
from export.lora import Lora
from export.options import ExportOptions
from export.progress import no_bar
from export.source import LoraSource, Source, VaeSource, sha256
from tests import small_checkpoints
from tests.loras import write_lora
from tests.single_files import write_single_file, write_vae_file

KINDS = small_checkpoints.kinds()
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint of the first kind."""
    return small_checkpoints.save(KINDS["sd1"], tmp_path_factory.mktemp("sources") / "checkpoint")


def pipeline(folder: Path) -> Any:
    return StableDiffusionPipeline.from_pretrained(folder)


def options(checkpoint: Path, **settings: Any) -> ExportOptions:
    return ExportOptions(str(checkpoint), "mine", checkpoint.parent / "unused", **settings)


def assert_same_weights(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    mine, other = ours.state_dict(), theirs.state_dict()
    assert set(mine) == set(other)
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize(("name", "sampler"), [("sd1", "pndm"), ("sd2", "ddim"), ("sdxl", "euler")])
def test_a_single_file_holds_the_weights_of_its_folder(tmp_path: Path, name: str, sampler: str) -> None:
    folder = small_checkpoints.save(KINDS[name], tmp_path / "checkpoint")
    theirs = DiffusionPipeline.from_pretrained(folder)
    checkpoint = load(options(write_single_file(theirs, tmp_path / "v1-5-pruned.safetensors"), config=str(folder)))
    assert checkpoint.source == "v1-5-pruned"
    encoders = [theirs.text_encoder, theirs.text_encoder_2] if name == "sdxl" else [theirs.text_encoder]
    parts = [checkpoint.unet, checkpoint.vae, *checkpoint.text_encoders]
    for ours, other in zip(parts, [theirs.unet, theirs.vae, *encoders], strict=True):
        assert_same_weights(ours, other)
    assert checkpoint.sampling.default == sampler


def test_loras_are_added_by_their_weights(folder: Path, tmp_path: Path) -> None:
    files = [write_lora(pipeline(folder), tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    checkpoint = load(options(folder, loras=(Lora(files[0], 0.5), Lora(files[1], -1.5))))
    theirs = pipeline(folder)
    with warnings.catch_warnings():
        # That there are two adapters is what is wanted.
        warnings.simplefilter("ignore")
        for name, file in zip("ab", files, strict=True):
            theirs.load_lora_weights(file.parent, weight_name=file.name, adapter_name=name)
    theirs.set_adapters(["a", "b"], [0.5, -1.5])
    sample, text = torch.randn(2, 4, 16, 16), torch.randn(2, 48, 32)
    ids = torch.randint(700, (2, 48))
    with torch.no_grad():
        expected = theirs.unet(sample, 500, text).sample
        torch.testing.assert_close(checkpoint.unet(sample, 500, text).sample, expected, rtol=1e-4, atol=1e-4)
        encoded = theirs.text_encoder(ids)[0]
        torch.testing.assert_close(checkpoint.text_encoders[0](ids)[0], encoded, rtol=1e-4, atol=1e-4)
        plain = pipeline(folder)
        assert (plain.unet(sample, 500, text).sample - expected).abs().max() > 0.1
        assert (plain.text_encoder(ids)[0] - encoded).abs().max() > 0.01
    # Nothing of the LoRAs is left beside the weights.
    assert set(checkpoint.unet.state_dict()) == set(plain.unet.state_dict())


@pytest.mark.parametrize("form", ["folder", "checkpoint", "file"])
def test_another_vae_takes_the_place_of_the_checkpoints_own(folder: Path, tmp_path: Path, form: str) -> None:
    vae = small_checkpoints.vae(seed=7)
    source = tmp_path / (f"{form}.safetensors" if form == "file" else form)
    if form == "file":
        write_vae_file(vae, source)
    else:
        vae.save_pretrained(source / "vae" if form == "checkpoint" else source)
    assert_same_weights(load(options(folder, vae=str(source))).vae, vae)
    if form != "file":
        (source / "notes.md").write_text("not read")
    found = Source.of("mine", options(folder, vae=str(source)), no_bar).vae
    inside = {
        "folder": {"config.json", WEIGHTS},
        "checkpoint": {"vae/config.json", f"vae/{WEIGHTS}"},
        "file": {"file.safetensors"},
    }[form]
    assert found == VaeSource(
        source.name, {name: sha256(source if form == "file" else source / name) for name in inside}
    )


def test_the_files_of_loras_are_in_the_record(folder: Path, tmp_path: Path) -> None:
    files = []
    for text in ("one", "other"):
        files.append(tmp_path / f"{text}.safetensors")
        files[-1].write_text(text)
    loras = (Lora(files[0], 0.5), Lora(files[1], -1.5))
    source = Source.of("mine", options(folder, loras=loras), no_bar)
    assert source.vae is None
    assert source.loras == (
        LoraSource("one.safetensors", 0.5, hashlib.sha256(b"one").hexdigest()),
        LoraSource("other.safetensors", -1.5, hashlib.sha256(b"other").hexdigest()),
    )


def _text(path: Path) -> Path:
    path.write_text("no weights")
    return path


def _xl_lora(path: Path) -> Path:
    return write_lora(
        small_checkpoints.pipeline(KINDS["sdxl"], small_checkpoints.components(KINDS["sdxl"])), path, seed=3
    )


def _stray_lora(path: Path) -> Path:
    save_file({"nothing.known.lora_A.weight": torch.zeros(2, 2)}, path)
    return path


@pytest.mark.parametrize("make", [_text, _xl_lora, _stray_lora, lambda path: path])
def test_a_lora_that_does_not_fit_is_refused(folder: Path, tmp_path: Path, make: Any) -> None:
    file = make(tmp_path / "lora.safetensors")
    with pytest.raises(InvalidLora, match=r"lora\.safetensors") as caught:
        load(options(folder, loras=(Lora(file),)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lora"),
    [
        ("a.safetensors", Lora(Path("a.safetensors"), 1.0)),
        ("b:c.safetensors:-0.5", Lora(Path("b:c.safetensors"), -0.5)),
    ],
)
def test_a_lora_is_written_as_file_and_weight(text: str, lora: Lora) -> None:
    assert Lora.parse(text) == lora


@pytest.mark.parametrize("text", ["a.safetensors:", "a.safetensors:strong", ":0.5", "a.safetensors:nan"])
def test_a_lora_without_a_proper_weight_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="FILE:WEIGHT"):
        Lora.parse(text)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"vae": "nowhere/at/all"}, InvalidVae, "nowhere/at/all"),
        ({"vae": __file__}, InvalidVae, "test_sources"),
    ],
)
def test_a_vae_that_cannot_be_loaded_is_refused(
    folder: Path, settings: dict[str, Any], error: type[ExportError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        load(options(folder, **settings))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_checkpoint_is_refused(folder: Path, tmp_path: Path) -> None:
    file = _text(tmp_path / "model.safetensors")
    with pytest.raises(NotACheckpoint, match="holds no checkpoint"):
        load(options(file))
    with pytest.raises(IncompleteCheckpoint, match="can't be loaded"):
        load(options(file, config=str(folder)))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("runwayml/stable-diffusion-v1-5", "stable-diffusion-v1-5/stable-diffusion-v1-5"),
        ("stable-diffusion-v1-5", "runwayml/stable-diffusion-v1-5"),
        ("v1-5-pruned-emaonly", "sd15"),
        ("stabilityai/sdxl-turbo", "sdxl-turbo"),
        ("sd_xl_base_1.0", "sdxl"),
    ],
)
def test_a_known_model_answers_to_its_ids_and_nicknames(source: str, name: str) -> None:
    assert name in usual_names(source)


@pytest.mark.parametrize("source", ["checkpoint", "lcm", "my-sdxl", ""])
def test_a_folder_of_another_name_claims_none(source: str) -> None:
    assert not list(usual_names(source))
