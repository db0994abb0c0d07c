"""Teaches the demo's text encoder layouts: `python -m export.demo.train_text_encoder --checkpoint CHECKPOINT`.

CHECKPOINT must hold `tokenizer`; `text_encoder` is trained on where it is there. From its layout heads a text encoder
learns within minutes which colour belongs where. The heads are kept in CHECKPOINT for
`export.demo.train_unet`, which needs them.
"""

import random
from pathlib import Path

import click
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from export.demo.latents import twin_scenes
from export.demo.layout import LayoutHeads, layout
from export.demo.schedule import training_steps
from export.demo.text_encoder import WIDTH, new_text_encoder, save_heads, token_ids

_BATCH_TWINS = 24
_PAIRS = 0.8
_HEADS_RATE = 3
_REPORT_EVERY = 25


@click.command()
@click.option("--checkpoint", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--minutes", default=5.0, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--seed", default=4, show_default=True)
def main(checkpoint: Path, minutes: float, learning_rate: float, seed: int) -> None:
    """Teaches the demo's text encoder layouts."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = CLIPTokenizer.from_pretrained(checkpoint / "tokenizer")
    folder = checkpoint / "text_encoder"
    encoder = CLIPTextModel.from_pretrained(folder) if folder.exists() else new_text_encoder(tokenizer)
    encoder.train()
    heads = LayoutHeads(WIDTH)
    optimizer = torch.optim.AdamW(
        [{"params": encoder.parameters()}, {"params": heads.parameters()}], betas=(0.9, 0.99), weight_decay=1e-3
    )
    for progress in training_steps(minutes):
        rate = progress.learning_rate(learning_rate)
        for group, factor in zip(optimizer.param_groups, (1, _HEADS_RATE), strict=True):
            group["lr"] = factor * rate
        scenes = [scene for _ in range(_BATCH_TWINS) for scene in twin_scenes(rng, _PAIRS)]
        ids = token_ids(tokenizer, [scene.caption for scene in scenes])
        hidden = encoder(ids).last_hidden_state
        layouts = torch.tensor([layout(scene) for scene in scenes])
        reading = heads(hidden, ids.eq(tokenizer.eos_token_id), layouts)
        optimizer.zero_grad()
        reading.loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        if progress.step % _REPORT_EVERY == 0:
            click.echo(
                f"step {progress.step}: layout {reading.loss.item():.4f}, colours right {reading.color_accuracy:.3f}"
            )
    encoder.save_pretrained(folder)
    save_heads(heads, checkpoint)


if __name__ == "__main__":
    main()
