"""Encoded scenes to train a UNet on, a part of them replaced with new ones at every step."""

import random
from dataclasses import dataclass

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPTokenizer

from export.demo.autoencoder import as_tensor
from export.demo.layout import layout
from export.demo.scenes import Scene, draw_scene
from export.demo.text_encoder import token_ids

_PAIRS = 0.62


@dataclass(frozen=True, slots=True)
class Bucket:
    """One picture size of the training: pixels, batch size, share of the steps, scenes kept, new scenes a step."""

    width: int
    height: int
    batch: int
    share: float
    kept: int
    fresh: int


BUCKETS = (
    Bucket(128, 128, batch=32, share=0.56, kept=960, fresh=4),
    Bucket(192, 128, batch=20, share=0.06, kept=96, fresh=2),
    Bucket(128, 192, batch=20, share=0.06, kept=96, fresh=2),
    Bucket(256, 256, batch=8, share=0.32, kept=192, fresh=2),
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Latents (N, 4, h, w) times the scaling factor, token ids (N, L) and layouts (N, 11) of the same N scenes."""

    latents: Tensor
    ids: Tensor
    layouts: Tensor


def twin_scenes(rng: random.Random, pairs: float) -> tuple[Scene, Scene]:
    """Two scenes to be learned side by side; `pairs` is the share of scenes with two things.

    A scene of two things comes with the one that has their colours swapped: the smallest change of words that changes
    the picture, and thus the clearest lesson in which colour belongs to which thing. A single thing comes with another.
    """
    while True:
        scene = draw_scene(rng, pairs)
        if len(scene.things) == 1:
            return scene, draw_scene(rng, pairs=0)
        twin = scene.with_colors_swapped()
        if not twin.held_out:
            return scene, twin


class SceneLatents:
    """A store of encoded twin scenes of one bucket; neighbours 2i and 2i+1 are twins."""

    def __init__(self, bucket: Bucket, vae: AutoencoderKL, tokenizer: CLIPTokenizer, rng: random.Random) -> None:
        """Encodes the bucket's `kept` scenes, which takes about 10 ms each for 128x128 pixels."""
        self.bucket = bucket
        self._vae = vae
        self._tokenizer = tokenizer
        self._rng = rng
        self._next = 0
        self._store = self._encode(bucket.kept)

    def batch(self) -> Batch:
        """A random batch of twins, after `fresh` scenes of the store have been replaced."""
        self._replace(self.bucket.fresh)
        first = 2 * torch.randint(self.bucket.kept // 2, (self.bucket.batch // 2,))
        rows = torch.stack([first, first + 1], dim=1).flatten()
        return Batch(self._store.latents[rows], self._store.ids[rows], self._store.layouts[rows])

    def _replace(self, count: int) -> None:
        fresh = self._encode(count)
        rows = slice(self._next, self._next + count)
        self._store.latents[rows] = fresh.latents
        self._store.ids[rows] = fresh.ids
        self._store.layouts[rows] = fresh.layouts
        self._next = (self._next + count) % (self.bucket.kept - self.bucket.kept % count)

    @torch.no_grad()
    def _encode(self, count: int) -> Batch:
        scenes: list[Scene] = []
        images = []
        while len(scenes) < count:
            seed = self._rng.random()
            for scene in twin_scenes(self._rng, _PAIRS):
                scenes.append(scene)
                # Twins are drawn with the same jitter.
                images.append(scene.draw(self.bucket.width, self.bucket.height, random.Random(seed)))
        pictures = as_tensor(images)
        latents = torch.cat([self._vae.encode(part).latent_dist.mode() for part in pictures.split(8)])
        ids = token_ids(self._tokenizer, [scene.caption for scene in scenes])
        layouts = torch.tensor([layout(scene) for scene in scenes])
        return Batch(latents * self._vae.config.scaling_factor, ids, layouts)
