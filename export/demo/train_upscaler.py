"""Trains the demo's upscaler: `python -m export.demo.train_upscaler --output export/demo/upscaler.safetensors`.

A compact VGG-style network (Wang et al., 2021, "Real-ESRGAN", its SRVGGNetCompact) that doubles a picture's sides,
small enough for two CPU cores: six inner convolutions of 16 channels, so that no pixel looks further than 8 pixels.
"""

import random
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as functional
from PIL import Image
from safetensors.torch import save_file
from spandrel.architectures.Compact import Compact
from torch import Tensor, nn

from export.demo.moving_average import MovingAverage
from export.demo.scenes import draw_scene
from export.demo.schedule import training_steps

SCALE = 2
_PAIRS = 0.5
_FEATURES = 16
_CONVOLUTIONS = 6
_SIDE = 256
_CROP = 32
_CROPS = 16
_FIRST_SCENES = 24
_RIDGE = 1e-6
_REPORT_EVERY = 100


def new_upscaler(small: Tensor, large: Tensor) -> Compact:
    """A network of 16 thousand parameters whose last layer is the best one for these pairs, by least squares.

    Its inner layers are random, but for three channels that pass the picture on. From there a few hundred steps do what
    thousands do from nothing.
    """
    upscaler = Compact(num_feat=_FEATURES, num_conv=_CONVOLUTIONS, upscale=SCALE)
    *inner, last = upscaler.body
    with torch.no_grad():
        for layer in inner:
            if isinstance(layer, nn.Conv2d):
                layer.weight[:3], layer.bias[:3] = 0, 0
                layer.weight[range(3), range(3), 1, 1] = 1
            else:
                layer.weight[:3] = 1
        features = small
        for layer in inner:
            features = layer(features)
        patches = functional.unfold(features, last.kernel_size, padding=1).transpose(1, 2).flatten(0, 1)
        patches = torch.cat([patches, torch.ones(len(patches), 1)], dim=1).double()
        nearest = functional.interpolate(small, scale_factor=SCALE, mode="nearest")
        wanted = functional.pixel_unshuffle(large - nearest, SCALE).flatten(2).transpose(1, 2).flatten(0, 1).double()
        ridge = _RIDGE * len(patches) * torch.eye(patches.shape[1], dtype=torch.double)
        solution = torch.linalg.solve(patches.T @ patches + ridge, patches.T @ wanted).T.float()
        last.weight.copy_(solution[:, :-1].reshape(last.weight.shape))
        last.bias.copy_(solution[:, -1])
    return upscaler


def reduced(picture: Image.Image) -> Image.Image:
    """The picture at half its sides, each pixel the mean of four: as it would have been drawn at that size."""
    return picture.reduce(SCALE)


def crop_pairs(rng: random.Random, scenes: int) -> tuple[Tensor, Tensor]:
    """Crops of reduced scenes and of the scenes themselves, float32 (N, 3, side, side) from 0 to 1.

    They lie around edges: of flat ground, which is most of a scene, there is nothing to learn.
    """
    small, large = [], []
    for _ in range(scenes):
        picture = draw_scene(rng, _PAIRS).draw(_SIDE, _SIDE, rng)
        whole = reduced(picture)
        pixels = np.asarray(whole, np.int16)
        edges = np.argwhere(np.abs(pixels[1:, 1:] - pixels[:-1, :-1]).sum(axis=-1) > 0)
        for _ in range(_CROPS):
            top, left = (min(max(int(at) - _CROP // 2, 0), whole.width - _CROP) for at in rng.choice(edges))
            box = (left, top, left + _CROP, top + _CROP)
            small.append(_tensor(whole.crop(box)))
            large.append(_tensor(picture.crop(tuple(SCALE * edge for edge in box))))
    return torch.stack(small), torch.stack(large)


def _tensor(picture: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255


def gain(upscaler: Compact, small: Tensor, large: Tensor) -> float:
    """Decibels of PSNR that the upscaler is better by than bicubic interpolation."""
    with torch.no_grad():
        bicubic = functional.interpolate(small, scale_factor=SCALE, mode="bicubic").clamp(0, 1)
        errors = [functional.mse_loss(made, large) for made in (upscaler(small).clamp(0, 1), bicubic)]
    return float(10 * torch.log10(errors[1] / errors[0]))


@click.command()
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The safetensors file.")
@click.option("--minutes", default=12.0, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--seed", default=7, show_default=True)
def main(output: Path, minutes: float, learning_rate: float, seed: int) -> None:
    """Trains the demo's upscaler."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    output.parent.mkdir(parents=True, exist_ok=True)
    upscaler = new_upscaler(*crop_pairs(rng, _FIRST_SCENES))
    average = MovingAverage(upscaler.parameters(), decay=0.99)
    optimizer = torch.optim.Adam(upscaler.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    test_pair = crop_pairs(random.Random(0), 4)
    for progress in training_steps(minutes):
        for group in optimizer.param_groups:
            group["lr"] = progress.learning_rate(learning_rate)
        small, large = crop_pairs(rng, 1)
        # Squared errors: absolute ones, of which flat ground makes most, keep the network where it began.
        loss = functional.mse_loss(upscaler(small), large)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update()
        if progress.step % _REPORT_EVERY == 0:
            with average.swapped_in():
                save_file(upscaler.state_dict(), output)
                click.echo(f"step {progress.step}: {gain(upscaler, *test_pair):+.2f} dB against bicubic")
    with average.swapped_in():
        save_file(upscaler.state_dict(), output)
        click.echo(f"finished: {gain(upscaler, *test_pair):+.2f} dB against bicubic")


if __name__ == "__main__":
    main()
