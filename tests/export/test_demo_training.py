"""The recipe of the demo checkpoint: its parts, and one run of all its commands from nothing to a picture."""

import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from diffusers import AutoencoderKL, StableDiffusionPipeline
from spandrel import ModelLoader
from torch import nn

from export.demo import tokenizer, train_text_encoder, train_unet, train_upscaler, train_vae
from export.demo.autoencoder import new_autoencoder
from export.demo.latents import Bucket, twin_scenes
from export.demo.layout import LayoutHeads, layout
from export.demo.moving_average import MovingAverage
from export.demo.scenes import Scene, Thing
from export.demo.schedule import Progress
from export.demo_family import UPSCALER


def test_most_frequent_pair_is_merged_first() -> None:
    assert tokenizer.byte_pair_merges(Counter({"red": 3, "bed": 2, "ray": 1}), limit=2) == [
        ("e", "d</w>"),
        ("r", "ed</w>"),
    ]


def test_layout_tells_colors_and_shapes_by_place() -> None:
    scene = Scene("white", (Thing("red", "circle"), Thing("blue", "star")), relation="right of")
    # White is colour 8; red (class 1) is on the right, blue (class 5) on the left; circle is 1 and star 4.
    assert layout(scene) == [8, *(0, 5, 1, 0, 0), *(0, 4, 1, 0, 0)]


def test_layout_ignores_a_background_that_is_not_named() -> None:
    scene = Scene("white", (Thing("red", "circle"),), position="at the top", names_background=False)
    assert layout(scene) == [-100, *(0, 0, 0, 1, 0), *(0, 0, 0, 1, 0)]


def test_layout_heads_learn_to_read() -> None:
    torch.manual_seed(0)
    layouts = torch.tensor([layout(Scene("white", (Thing("red", "circle"),)))])
    hidden, behind = torch.randn(1, 10, 16), torch.ones(1, 10, dtype=torch.bool)
    heads = LayoutHeads(16)
    optimizer = torch.optim.Adam(heads.parameters(), lr=0.1)
    before = heads(hidden, behind, layouts).loss
    for _ in range(50):
        optimizer.zero_grad()
        heads(hidden, behind, layouts).loss.backward()
        optimizer.step()
    reading = heads(hidden, behind, layouts)
    assert reading.loss < 0.1 * before
    assert reading.color_accuracy == 1.0


def test_twins_differ_in_colors_only_and_are_never_held_out() -> None:
    rng = random.Random(1)
    for _ in range(300):
        first, second = twin_scenes(rng, pairs=1.0)
        assert second == first.with_colors_swapped()
        assert not first.held_out and not second.held_out


def test_moving_average_is_lent_and_taken_back() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    average = MovingAverage([parameter], decay=0.5)
    parameter.data += 1
    average.update()
    with average.swapped_in():
        assert parameter.item() == pytest.approx(0.95)
    assert parameter.item() == 1


def test_learning_rate_warms_up_and_comes_down() -> None:
    rates = [Progress(step, elapsed).learning_rate(1.0) for step, elapsed in ((0, 0.0), (99, 0.0), (5000, 1.0))]
    assert rates == pytest.approx([0.0101, 1.01, 0.01])


def _run(command: object, *arguments: str) -> None:
    result = CliRunner().invoke(command, list(arguments), catch_exceptions=False)  # type: ignore[arg-type]
    assert result.exit_code == 0, result.output


def test_decoder_training_leaves_latents_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    new_autoencoder().save_pretrained(tmp_path / "vae")
    before = AutoencoderKL.from_pretrained(tmp_path / "vae").state_dict()
    _run(train_vae.main, "--checkpoint", str(tmp_path), "--minutes", "0.03", "--decoder-only")
    after = AutoencoderKL.from_pretrained(tmp_path / "vae").state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)


def test_recipe_makes_a_pipeline_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_unet, "BUCKETS", (Bucket(128, 128, batch=2, share=1.0, kept=4, fresh=2),))
    checkpoint = ("--checkpoint", str(tmp_path))
    _run(tokenizer.main, "--output", str(tmp_path), "--captions", "200")
    _run(train_vae.main, *checkpoint, "--minutes", "0.02")
    _run(train_text_encoder.main, *checkpoint, "--minutes", "0.02")
    _run(train_unet.main, *checkpoint, "--minutes", "0.02")
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red circle", num_inference_steps=2, width=128, height=128).images[0]
    assert picture.size == (128, 128)


def test_upscaler_recipe_makes_a_network_that_spandrel_loads(tmp_path: Path) -> None:
    file = tmp_path / "upscaler.safetensors"
    _run(train_upscaler.main, "--output", str(file), "--minutes", "0.01")
    descriptor = ModelLoader().load_from_file(file)
    assert descriptor.scale == train_upscaler.SCALE


def test_the_upscaler_is_better_than_bicubic_interpolation() -> None:
    upscaler = ModelLoader().load_from_file(UPSCALER).model
    small, large = train_upscaler.crop_pairs(random.Random(3), 4)
    assert train_upscaler.gain(upscaler, small, large) > 3
