"""Trains the demo's text encoder and UNet: `python -m export.demo.train_unet --checkpoint CHECKPOINT --minutes 90`.

CHECKPOINT must hold `tokenizer`, `vae`, and `text_encoder` with its layout heads (`export.demo.train_text_encoder`).
Where it holds `unet` as well, that is trained on. Writes a complete StableDiffusionPipeline into CHECKPOINT every few
minutes, with averaged weights.
"""

import random
import time
from pathlib import Path

import click
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from export.demo.latents import BUCKETS, Batch, SceneLatents
from export.demo.moving_average import MovingAverage
from export.demo.schedule import training_steps
from export.demo.text_encoder import WIDTH, load_heads, save_heads, token_ids

_CAPTION_DROPOUT = 0.1
# Gaussian noise alone hides no picture's mean, so a UNet trained on it cannot paint plain backgrounds: a part of the
# noise is constant over the picture ("noise offset", Guttenberg 2023).
_NOISE_OFFSET = 0.2
_LAYOUT_WEIGHT = 0.05
_REPORT_EVERY = 50
_SAVE_EVERY_S = 420.0


def new_unet() -> UNet2DConditionModel:
    """An untrained UNet of 5.3 M parameters for latents of 16x16 (pictures of 128x128)."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(48, 96, 128),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


class DenoisingLoss:
    """How far the UNet's noise prediction is off, with more weight on the noisy end of the schedule.

    Colours and places are decided at high noise, where a plain loss in noise is small: a whole wrong picture hardly
    changes the noise then. The weight is the inverse root of the signal-to-noise ratio, between 0.3 and 4, and half of
    the timesteps are drawn from the noisier 60 %. (A milder form of weighting by the error in the picture; compare
    Hang et al., 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy".)
    """

    def __init__(self, scheduler: DDPMScheduler) -> None:
        self._scheduler = scheduler
        signal = scheduler.alphas_cumprod
        self._weights = ((1 - signal) / signal).sqrt().clamp(0.3, 4.0)

    def __call__(self, unet: UNet2DConditionModel, latents: Tensor, hidden: Tensor) -> Tensor:
        """The loss of one batch of twins; they share noise and timestep, so that only captions tell them apart."""
        twins = len(latents) // 2
        noise = torch.randn(twins, *latents.shape[1:]) + _NOISE_OFFSET * torch.randn(twins, latents.shape[1], 1, 1)
        length = self._scheduler.config.num_train_timesteps
        anywhere = torch.randint(0, length, (twins,))
        noisier = torch.randint(length * 2 // 5, length, (twins,))
        timesteps = torch.where(torch.rand(twins) < 0.5, anywhere, noisier).repeat_interleave(2)
        noise = noise.repeat_interleave(2, dim=0)
        predicted = unet(self._scheduler.add_noise(latents, noise, timesteps), timesteps, hidden).sample
        return ((predicted - noise).square().mean(dim=(1, 2, 3)) * self._weights[timesteps]).mean()


class Trainer:
    """Text encoder and UNet of one checkpoint folder, and everything that changes while they learn."""

    def __init__(self, checkpoint: Path, learning_rate: float, seed: int) -> None:
        """Loads what the folder holds; encodes the first scenes, which takes about half a minute on one core."""
        torch.manual_seed(seed)
        self._rng = random.Random(seed)
        self._checkpoint = checkpoint
        self._learning_rate = learning_rate
        self._tokenizer = CLIPTokenizer.from_pretrained(checkpoint / "tokenizer")
        self._vae = AutoencoderKL.from_pretrained(checkpoint / "vae").eval()
        self._text_encoder = CLIPTextModel.from_pretrained(checkpoint / "text_encoder").train()
        self._heads = load_heads(checkpoint)
        unet = checkpoint / "unet"
        self._unet = (UNet2DConditionModel.from_pretrained(unet) if unet.exists() else new_unet()).train()
        self._weights = [*self._unet.parameters(), *self._text_encoder.parameters()]
        self._average = MovingAverage(self._weights, decay=0.998)
        parameters = [*self._weights, *self._heads.parameters()]
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=(0.9, 0.99), weight_decay=1e-3)
        scheduler = DDPMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            num_train_timesteps=1000,
            clip_sample=False,
        )
        self._denoising_loss = DenoisingLoss(scheduler)
        self._sampling = DDIMScheduler.from_config(
            scheduler.config, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        )
        self._no_caption = token_ids(self._tokenizer, [""])[0]
        self._stores = [SceneLatents(bucket, self._vae, self._tokenizer, self._rng) for bucket in BUCKETS]

    def train(self, minutes: float) -> None:
        """Trains for `minutes` and saves every few minutes and at the end."""
        saved = time.monotonic()
        for progress in training_steps(minutes):
            for group in self._optimizer.param_groups:
                group["lr"] = progress.learning_rate(self._learning_rate)
            store = self._rng.choices(self._stores, [store.bucket.share for store in self._stores])[0]
            denoising, accuracy = self._step(store.batch())
            if progress.step % _REPORT_EVERY == 0:
                click.echo(f"step {progress.step}: denoising {denoising:.4f}, colours read right {accuracy:.3f}")
            if time.monotonic() - saved > _SAVE_EVERY_S:
                self.save()
                saved = time.monotonic()
        self.save()

    def _step(self, batch: Batch) -> tuple[float, float]:
        """One update of all weights; returns the denoising loss and the colour accuracy of the layout heads."""
        dropped = torch.rand(len(batch.ids)) < _CAPTION_DROPOUT
        ids = torch.where(dropped[:, None], self._no_caption, batch.ids)
        hidden = self._text_encoder(ids).last_hidden_state
        denoising = self._denoising_loss(self._unet, batch.latents, hidden)
        told = ~dropped
        behind_caption = ids.eq(self._tokenizer.eos_token_id)
        reading = self._heads(hidden[told], behind_caption[told], batch.layouts[told])
        self._optimizer.zero_grad()
        (denoising + _LAYOUT_WEIGHT * reading.loss).backward()
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        self._average.update()
        return denoising.item(), reading.color_accuracy

    def save(self) -> None:
        """Writes the whole pipeline with averaged weights."""
        pipeline = StableDiffusionPipeline(
            vae=self._vae,
            text_encoder=self._text_encoder,
            tokenizer=self._tokenizer,
            unet=self._unet,
            scheduler=self._sampling,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        with self._average.swapped_in():
            pipeline.save_pretrained(self._checkpoint, safe_serialization=True)
        save_heads(self._heads, self._checkpoint)


@click.command()
@click.option("--checkpoint", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--minutes", type=float, required=True)
@click.option("--learning-rate", default=1e-3, show_default=True, help="The peak; 6e-4 to go on with trained weights.")
@click.option("--seed", default=1, show_default=True)
def main(checkpoint: Path, minutes: float, learning_rate: float, seed: int) -> None:
    """Trains the demo's text encoder and UNet."""
    Trainer(checkpoint, learning_rate, seed).train(minutes)


if __name__ == "__main__":
    main()
