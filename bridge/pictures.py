"""Turns pixels into files: a finished picture's resized, encoded, with its settings inside, and a preview's."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bridge.generation import Generation

_LOSSY_QUALITY = 92
_PREVIEW_QUALITY = 75


def encode(pixels: NDArray[np.uint8], generation: Generation) -> bytes:
    """Encodes pixels [H,W,3] as PNG, JPEG or WebP, resized with Lanczos where they are of another size.

    A PNG carries the text chunk `parameters` that AUTOMATIC1111's web UI writes and most viewers read.
    """
    picture = Image.fromarray(pixels)
    wanted = (generation.finished_size.width, generation.finished_size.height)
    if picture.size != wanted:
        picture = picture.resize(wanted, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    match generation.output_format:
        case "png":
            chunks = PngInfo()
            chunks.add_text("parameters", parameters_text(generation))
            picture.save(file, "PNG", pnginfo=chunks)
        case "jpeg":
            picture.save(file, "JPEG", quality=_LOSSY_QUALITY)
        case "webp":
            picture.save(file, "WEBP", quality=_LOSSY_QUALITY)
    return file.getvalue()


def encode_preview(pixels: NDArray[np.uint8]) -> bytes:
    """Encodes pixels [H,W,3] as a JPEG of their own size."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_PREVIEW_QUALITY)
    return file.getvalue()


def parameters_text(generation: Generation) -> str:
    """The generation's settings in the words of AUTOMATIC1111's `parameters` chunk."""
    settings = {
        "Steps": str(generation.steps),
        "Sampler": generation.sampler,
        "CFG scale": f"{generation.guidance_scale:g}",
        "Seed": str(generation.seed),
        "Size": str(generation.size),
        "Model": generation.family.name,
        "Version": str(generation.family.version),
    }
    if generation.strength is not None:
        settings["Denoising strength"] = f"{generation.strength:g}"
    if generation.variation is not None:
        settings["Variation seed"] = str(generation.variation.seed)
        settings["Variation seed strength"] = f"{generation.variation.strength:g}"
    if generation.upscale > 1:
        settings["Postprocess upscale by"] = str(generation.upscale)
    lines = [generation.prompt]
    if generation.negative_prompt:
        lines.append(f"Negative prompt: {generation.negative_prompt}")
    lines.append(", ".join(f"{key}: {value}" for key, value in settings.items()))
    return "\n".join(lines)
