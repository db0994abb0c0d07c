"""Trains the demo's VAE: `python -m export.demo.train_vae --checkpoint CHECKPOINT --minutes 30 [--decoder-only]`.

Without `--decoder-only` the VAE is trained from scratch and its scaling factor is measured at the end. With it, a VAE
that exists goes on with a frozen encoder: its latents, and so every UNet trained on them, stay valid.
"""

import random
from pathlib import Path

import click
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL
from torch import Tensor

from export.demo.autoencoder import (
    SceneBatch,
    crispness_loss,
    crop_batch,
    edge_loss,
    latent_scaling_factor,
    new_autoencoder,
    picture_batch,
    scene_batch,
)
from export.demo.moving_average import MovingAverage
from export.demo.schedule import Progress, training_steps

_REPORT_EVERY = 300
# A UNet's latents are never exactly an encoder's: the decoder has to forgive as much.
_LATENT_NOISE = 0.06


def whole_loss(vae: AutoencoderKL, pictures: Tensor) -> Tensor:
    """What the whole VAE learns from: reconstruction, edges, and latents that stay small."""
    posterior = vae.encode(pictures).latent_dist
    decoded = vae.decode(posterior.sample()).sample
    reconstruction = functional.l1_loss(decoded, pictures) + functional.mse_loss(decoded, pictures)
    return reconstruction + edge_loss(decoded, pictures) + 1e-3 * posterior.mean.pow(2).mean()


def decoder_loss(vae: AutoencoderKL, batch: SceneBatch) -> Tensor:
    """What the decoder alone learns from: reconstruction, edges and crispness, from slightly noisy latents."""
    with torch.no_grad():
        latents = vae.encode(batch.pictures).latent_dist.mode()
        latents += torch.randn_like(latents) * _LATENT_NOISE * torch.rand(())
    decoded = vae.decode(latents).sample
    reconstruction = functional.l1_loss(decoded, batch.pictures)
    return reconstruction + 0.5 * edge_loss(decoded, batch.pictures) + crispness_loss(decoded, batch)


def whole_batch(rng: random.Random, progress: Progress) -> Tensor:
    """Mostly crops, which are cheap; every tenth batch shows whole pictures."""
    return picture_batch(rng, 2, 128) if progress.step % 10 == 0 else crop_batch(rng, 6, 64)


def decoder_batch(rng: random.Random, progress: Progress) -> SceneBatch:
    """Whole pictures, every eighth batch at 256x256."""
    return scene_batch(rng, 2, 256) if progress.step % 8 == 0 else scene_batch(rng, 6, 128)


@torch.no_grad()
def reconstruction_error(vae: AutoencoderKL, pictures: Tensor) -> str:
    """Mean squared, absolute and edge error of pictures encoded and decoded, as a line to read."""
    decoded = vae.decode(vae.encode(pictures).latent_dist.mode()).sample
    squared = functional.mse_loss(decoded, pictures).item()
    absolute = functional.l1_loss(decoded, pictures).item()
    return f"mse {squared:.5f}, l1 {absolute:.4f}, edges {edge_loss(decoded, pictures).item():.4f}"


@click.command()
@click.option("--checkpoint", type=click.Path(path_type=Path), required=True, help="Holds or gets the folder vae.")
@click.option("--minutes", type=float, required=True)
@click.option("--decoder-only", is_flag=True, help="Goes on with an existing VAE; its latents do not change.")
@click.option("--learning-rate", default=1.5e-3, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(checkpoint: Path, minutes: float, decoder_only: bool, learning_rate: float, seed: int) -> None:
    """Trains the demo's VAE."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    folder = checkpoint / "vae"
    vae = AutoencoderKL.from_pretrained(folder) if decoder_only else new_autoencoder()
    vae.requires_grad_(not decoder_only)
    trained = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()] if decoder_only else [*vae.parameters()]
    for parameter in trained:
        parameter.requires_grad_(True)
    average = MovingAverage(trained, decay=0.998)
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    test_pictures = picture_batch(random.Random(0), 12, 128)
    for progress in training_steps(minutes):
        for group in optimizer.param_groups:
            group["lr"] = progress.learning_rate(learning_rate)
        if decoder_only:
            loss = decoder_loss(vae, decoder_batch(rng, progress))
        else:
            loss = whole_loss(vae, whole_batch(rng, progress))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        average.update()
        if progress.step % _REPORT_EVERY == 0:
            with average.swapped_in():
                vae.save_pretrained(folder)
                click.echo(f"step {progress.step}: {reconstruction_error(vae, test_pictures)}")
    with average.swapped_in():
        if not decoder_only:
            vae.register_to_config(scaling_factor=latent_scaling_factor(vae, rng))
        vae.save_pretrained(folder)
        click.echo(f"finished: {reconstruction_error(vae, test_pictures)}")


if __name__ == "__main__":
    main()
