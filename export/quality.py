"""What a family's exported graphs paint, beside what the checkpoint paints in torch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import numpy as np
import onnxruntime
import torch
from PIL import Image
from torch import Tensor

from export.checkpoint import Checkpoint
from export.contact_sheet import Pair
from export.similarity import Picture, Similarity

PROMPTS: Final = (
    "a yellow moon above a white star on a blue background",
    "a photograph of a lighthouse on a cliff at sunset",
    "an oil painting of oranges in a bowl on a wooden table",
)
# Fewer than people ask for: the differences of two runs show after these, and a large checkpoint on a CPU needs
# minutes for each picture.
MAX_STEPS: Final = 8
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class PaintedPrompt:
    """One prompt, painted by the exported graphs, and how like torch's picture that is."""

    prompt: str
    seed: int
    similarity: Similarity


@dataclass(frozen=True, slots=True)
class Quality:
    """How like torch's pictures those of the exported graphs are; sizes in pixels."""

    scheduler: str
    steps: int
    guidance_scale: float
    width: int
    height: int
    prompts: tuple[PaintedPrompt, ...]


class QualityCheck:
    """Paints fixed prompts with the checkpoint's own scheduler at its native size, in torch and by graphs.

    The graphs are run by ONNX Runtime on the CPU, inside diffusers' pipeline in place of its components.
    """

    def __init__(self, checkpoint: Checkpoint, steps: int, guidance_scale: float) -> None:
        self._checkpoint = checkpoint
        self._steps = min(steps, MAX_STEPS)
        self._guidance_scale = guidance_scale
        # Those of LCMs are painted by the usual pipeline, which feeds their UNet its guidance as well.
        name = f"StableDiffusion{'XL' if checkpoint.is_xl else ''}{'Inpaint' if checkpoint.inpainting else ''}Pipeline"
        further: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        if checkpoint.is_xl:
            further = {
                "text_encoder_2": checkpoint.text_encoders[1],
                "tokenizer_2": checkpoint.tokenizers[1],
                "force_zeros_for_empty_prompt": checkpoint.zeros_for_empty_prompt,
            }
        scheduler_class = getattr(diffusers, str(checkpoint.scheduler_config["_class_name"]))
        with warnings.catch_warnings():
            # Of keys in the scheduler's config that its class does not know, as diffusers' own loading warns.
            warnings.simplefilter("ignore")
            self._pipeline = getattr(diffusers, name)(
                vae=checkpoint.vae,
                text_encoder=checkpoint.text_encoders[0],
                tokenizer=checkpoint.tokenizers[0],
                unet=checkpoint.unet,
                scheduler=scheduler_class.from_config(dict(checkpoint.scheduler_config)),
                **further,
            )
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def total_steps(self) -> int:
        """How often `advance` is called in all."""
        return 2 * len(PROMPTS) * self._steps

    def run(self, graphs: Mapping[str, Path], advance: Callable[[], None]) -> tuple[Quality, list[Pair]]:
        """Paints with torch, then with the graphs of the text encoders, unet and vae_decoder at these paths.

        `advance` is called after each step of each picture.
        """
        references = [self._paint({"prompt": prompt}, advance, "np") for prompt in PROMPTS]
        sessions = {
            part: onnxruntime.InferenceSession(str(graphs[part]), providers=["CPUExecutionProvider"])
            for part in (*self._encoders, "unet", "vae_decoder")
        }
        with _in_place_of(self._checkpoint.unet, sessions["unet"]):
            latents = [self._paint(self._embeddings(sessions, prompt), advance, "latent") for prompt in PROMPTS]
        pairs, painted = [], []
        for prompt, unit, latent in zip(PROMPTS, references, latents, strict=True):
            reference = (unit[0] * 255).round().astype(np.uint8)
            exported: Picture = sessions["vae_decoder"].run(["IMAGE"], {"LATENTS": latent.numpy()})[0][0]
            similarity = Similarity.of(exported, reference)
            painted.append(PaintedPrompt(prompt, _SEED, similarity))
            pairs.append(Pair(f"{prompt} - {similarity}", reference, exported))
        return self._quality(painted), pairs

    def _paint(self, conditioning: Mapping[str, Any], advance: Callable[[], None], output: str) -> Any:
        checkpoint = self._checkpoint

        def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            if step < self._steps:
                advance()
            return tensors

        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._pipeline(
                **conditioning,
                **(_scene(checkpoint) if checkpoint.inpainting else {}),
                width=checkpoint.native_width,
                height=checkpoint.native_height,
                num_inference_steps=self._steps,
                guidance_scale=self._guidance_scale,
                generator=torch.Generator("cpu").manual_seed(_SEED),
                output_type=output,
                callback_on_step_end=after_step,
            ).images

    @property
    def _encoders(self) -> tuple[str, ...]:
        """The parts that encode prompts."""
        return ("text_encoder", "text_encoder_2") if self._checkpoint.is_xl else ("text_encoder",)

    def _embeddings(self, sessions: Mapping[str, Any], prompt: str) -> dict[str, Tensor]:
        checkpoint = self._checkpoint
        made: dict[str, list[Tensor]] = {"EMBEDDINGS": [], "POOLED": []}
        for part, tokenizer in zip(self._encoders, checkpoint.tokenizers, strict=True):
            given = tokenizer([prompt, ""], padding="max_length", truncation=True, max_length=checkpoint.window)
            ids = np.array(given.input_ids, np.int64)
            if checkpoint.zeros_for_empty_prompt:
                ids[1] = -1
            outputs = [output.name for output in sessions[part].get_outputs()]
            for name, output in zip(outputs, sessions[part].run(outputs, {"INPUT_IDS": ids}), strict=True):
                made[name].append(torch.from_numpy(output))
        positive, negative = torch.cat(made["EMBEDDINGS"], dim=-1).split(1)
        embeddings = {"prompt_embeds": positive, "negative_prompt_embeds": negative}
        for pooled in made["POOLED"]:
            embeddings["pooled_prompt_embeds"], embeddings["negative_pooled_prompt_embeds"] = pooled.split(1)
        return embeddings

    def _quality(self, painted: list[PaintedPrompt]) -> Quality:
        return Quality(
            scheduler=type(self._pipeline.scheduler).__name__,
            steps=self._steps,
            guidance_scale=self._guidance_scale,
            width=self._checkpoint.native_width,
            height=self._checkpoint.native_height,
            prompts=tuple(painted),
        )


def _scene(checkpoint: Checkpoint) -> dict[str, Any]:
    """What an inpainting checkpoint starts from: a grey ramp, its right half to be repainted."""
    ramp = np.linspace(0, 255, checkpoint.native_width).astype(np.uint8)
    picture = Image.fromarray(np.tile(ramp, (checkpoint.native_height, 1)))
    return {"image": picture.convert("RGB"), "mask_image": picture.point(lambda level: 255 * (level >= 128))}


@contextmanager
def _in_place_of(unet: Any, session: Any) -> Iterator[None]:
    """Runs the session whenever the torch module is called; the graph's inputs have the module's names."""

    def forward(sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **others: Any) -> tuple[Tensor]:
        given = {
            "sample": sample,
            "timestep": torch.as_tensor(timestep, dtype=torch.float32).expand(len(sample)),
            "encoder_hidden_states": encoder_hidden_states,
            **others,
            **(others.get("added_cond_kwargs") or {}),
        }
        feeds = {item.name: given[item.name].numpy() for item in session.get_inputs()}
        return (torch.from_numpy(session.run(None, feeds)[0]),)

    unet.forward = forward
    try:
        yield
    finally:
        # The class's own shows again.
        del unet.forward
