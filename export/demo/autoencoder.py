"""The demo's VAE: its architecture, what it is trained to get right, and batches of pictures for it."""

import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from export.demo.scenes import COLORS, Scene, draw_scene

PAIRS = 0.5
_PALETTE_SIZE = 3
_EDGE_REACH = 4


@dataclass(frozen=True, slots=True)
class SceneBatch:
    """Pictures (N, 3, height, width) in [-1, 1], their scenes' colours (N, 3, 3: color, RGB), and which are flat.

    A flat picture (N booleans) is drawn in its scene's colours alone; soft ones and pixel art hold blends of them.
    """

    pictures: Tensor
    palettes: Tensor
    flat: Tensor


def new_autoencoder() -> AutoencoderKL:
    """An untrained AutoencoderKL of 0.94 M parameters: factor 8, 4 latent channels, pictures of 128x128.

    Its posterior starts nearly deterministic (log variance -6), so that training begins as a plain autoencoder's.
    """
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=128,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 64),
        layers_per_block=1,
        norm_num_groups=8,
        mid_block_add_attention=False,
    )
    with torch.no_grad():
        vae.quant_conv.bias[4:] = -6.0
        vae.quant_conv.weight[4:] *= 0.01
    return vae


def as_tensor(images: list[Image.Image]) -> Tensor:
    """RGB pictures of one size as float32 (N, 3, height, width) in [-1, 1]."""
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def scene_batch(rng: random.Random, count: int, side: int) -> SceneBatch:
    """`count` fresh scenes of `side` x `side` pixels."""
    scenes = [draw_scene(rng, PAIRS) for _ in range(count)]
    return SceneBatch(
        as_tensor([scene.draw(side, side, rng) for scene in scenes]),
        torch.tensor([_palette(scene) for scene in scenes]) / 127.5 - 1,
        torch.tensor([scene.style in ("", "outline") for scene in scenes]),
    )


def _palette(scene: Scene) -> list[tuple[int, int, int]]:
    """The scene's colours, the last one repeated where they are fewer than three."""
    colors = [COLORS[scene.background], *(COLORS[thing.color] for thing in scene.things)]
    return colors + colors[-1:] * (_PALETTE_SIZE - len(colors))


def picture_batch(rng: random.Random, count: int, side: int) -> Tensor:
    """`count` fresh scenes of `side` x `side` pixels as a float32 tensor (count, 3, side, side) in [-1, 1]."""
    return scene_batch(rng, count, side).pictures


def crop_batch(rng: random.Random, count: int, side: int) -> Tensor:
    """`count` crops of `side` pixels out of 128x128 scenes, mostly from the middle, where the shapes are."""
    crops = []
    for _ in range(count):
        image = draw_scene(rng, PAIRS).draw(128, 128, rng)
        left, top = (min(128 - side, max(0, round(rng.gauss(64, 32) - side / 2))) for _ in range(2))
        crops.append(image.crop((left, top, left + side, top + side)))
    return as_tensor(crops)


def edge_loss(decoded: Tensor, target: Tensor) -> Tensor:
    """L1 distance of the differences between neighbouring pixels: what makes edges sharp."""
    vertical = functional.l1_loss(decoded.diff(dim=-2), target.diff(dim=-2))
    horizontal = functional.l1_loss(decoded.diff(dim=-1), target.diff(dim=-1))
    return vertical + horizontal


def crispness_loss(decoded: Tensor, batch: SceneBatch) -> Tensor:
    """How far pixels of flat pictures are from the nearest colour that is found within four pixels of them.

    A blurred edge is made of colours that are on neither side of it. An absolute error hardly minds that, as blurring
    is the safest guess where an edge might be a pixel off; here it costs and a clear edge a pixel off does not.
    """
    target = _distances(batch.pictures, batch.palettes)
    owner = functional.one_hot(target.argmin(dim=1), _PALETTE_SIZE).permute(0, 3, 1, 2).to(decoded.dtype)
    nearby = functional.max_pool2d(owner, 2 * _EDGE_REACH + 1, stride=1, padding=_EDGE_REACH) > 0
    distance = _distances(decoded, batch.palettes).masked_fill(~nearby, torch.inf).amin(dim=1)
    return (distance.mean(dim=(1, 2)) * batch.flat).mean()


def _distances(pictures: Tensor, palettes: Tensor) -> Tensor:
    """Mean absolute distance of every pixel from every colour of its palette: (N, 3 colours, height, width)."""
    return (pictures[:, None] - palettes[..., None, None]).abs().mean(dim=2)


@torch.no_grad()
def latent_scaling_factor(vae: AutoencoderKL, rng: random.Random) -> float:
    """What makes latents have unit variance: 1 over their standard deviation on 128 scenes."""
    latents = [vae.encode(picture_batch(rng, 16, 128)).latent_dist.mode() for _ in range(8)]
    return float(1 / torch.cat(latents).std())
