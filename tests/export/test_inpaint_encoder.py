"""The inpaint encoder against what `StableDiffusionInpaintPipeline` makes of the same picture and mask."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import PIL.Image
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline

from export.family import ExportReport
from tests.checkpoint import CHECKPOINT

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
MOMENTS = ("MEAN", "STD", "MASKED_MEAN", "MASKED_STD")


def random_mask(shape: tuple[int, ...]) -> Bytes:
    # Every value of a byte, so also those just below and above one half.
    return np.random.default_rng(1).integers(256, size=shape, dtype=np.uint8)


MASKS: dict[str, Callable[[tuple[int, ...]], Bytes]] = {
    "random": random_mask,
    "black": lambda shape: np.zeros(shape, np.uint8),
    "white": lambda shape: np.full(shape, 255, np.uint8),
}


@dataclass(frozen=True, slots=True)
class Oracle:
    """The checkpoint's pipeline for inpainting, run for one step and watched."""

    pipeline: Any

    def encode(self, images: Bytes, masks: Bytes) -> dict[str, torch.Tensor]:
        """What the graph should put out; raises where the pipeline encodes other pictures than these two."""
        encode, posteriors, latent_masks = self.pipeline.vae.encode, [], []

        def watch_encoder(pixels: torch.Tensor) -> Any:
            output = encode(pixels)
            posteriors.append(output.latent_dist)
            return output

        def watch_step(_pipeline: Any, _step: int, _timestep: Any, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
            latent_masks.append(tensors["mask"])
            return {}

        self.pipeline.vae.encode = watch_encoder
        try:
            self.pipeline(
                [""] * len(images),
                image=[PIL.Image.fromarray(image) for image in images],
                mask_image=[PIL.Image.fromarray(mask[..., 0]) for mask in masks],
                height=images.shape[1],
                width=images.shape[2],
                num_inference_steps=1,
                strength=1.0,
                guidance_scale=1.0,
                output_type="latent",
                callback_on_step_end=watch_step,
                callback_on_step_end_tensor_inputs=["mask"],
            )
        finally:
            self.pipeline.vae.encode = encode
        whole, masked = posteriors
        (latent_mask,) = latent_masks
        return {
            "MEAN": whole.mean,
            "STD": whole.std,
            "MASKED_MEAN": masked.mean,
            "MASKED_STD": masked.std,
            "LATENT_MASK": latent_mask,
        }


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline: Any = StableDiffusionInpaintPipeline.from_pretrained(CHECKPOINT)
    pipeline.set_progress_bar_config(disable=True)
    return Oracle(pipeline)


@pytest.fixture(scope="module")
def graph(exported: ExportReport) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(exported.repository / "demo_inpaint_encoder" / "1" / "model.onnx")


def run(graph: onnxruntime.InferenceSession, images: Bytes, masks: Bytes) -> dict[str, Floats]:
    names = [output.name for output in graph.get_outputs()]
    return dict(zip(names, graph.run(names, {"IMAGE": images, "MASK": masks}), strict=True))


def pictures(batch: int, width: int, height: int) -> Bytes:
    return np.random.default_rng(0).integers(256, size=(batch, height, width, 3), dtype=np.uint8)


def distance(ours: Floats, theirs: torch.Tensor) -> float:
    reference = theirs.double().numpy()
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


@pytest.mark.parametrize(("width", "height"), [(64, 96), (128, 128)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("mask", MASKS)
def test_it_equals_the_pipeline_of_diffusers(
    graph: onnxruntime.InferenceSession, oracle: Oracle, mask: str, batch: int, width: int, height: int
) -> None:
    images, masks = pictures(batch, width, height), MASKS[mask]((batch, height, width, 1))
    ours, theirs = run(graph, images, masks), oracle.encode(images, masks)
    np.testing.assert_array_equal(ours["LATENT_MASK"], theirs["LATENT_MASK"].numpy())
    for name in MOMENTS:
        assert ours[name].shape == theirs[name].shape
        # An all-white mask leaves an even grey picture, on which torch itself is inexact; see the test below.
        if mask != "white" or not name.startswith("MASKED"):
            assert distance(ours[name], theirs[name]) < 1e-4, name


def test_what_an_all_white_mask_leaves_is_encoded_no_less_exactly_than_by_torch(
    graph: onnxruntime.InferenceSession, oracle: Oracle
) -> None:
    # Group norms of an even picture magnify the rounding of FP32, so both are measured in double precision.
    images, masks = pictures(1, 128, 128), MASKS["white"]((1, 128, 128, 1))
    ours, theirs = run(graph, images, masks), oracle.encode(images, masks)
    exact = copy.deepcopy(oracle.pipeline.vae).double()
    with torch.no_grad():
        posterior = exact.encode(torch.zeros(1, 3, 128, 128, dtype=torch.float64)).latent_dist
    for name, reference in (("MASKED_MEAN", posterior.mean), ("MASKED_STD", posterior.std)):
        assert distance(ours[name], reference) <= max(1e-4, distance(theirs[name].numpy(), reference)), name
    assert distance(ours["MASKED_MEAN"], posterior.mean) < 1e-2


def test_other_masks_and_pictures_are_far_apart(graph: onnxruntime.InferenceSession, oracle: Oracle) -> None:
    # Without this the comparison above could pass on a graph that ignores its inputs.
    images, masks = pictures(1, 64, 96), random_mask((1, 96, 64, 1))
    theirs = oracle.encode(images, masks)
    other_mask = run(graph, images, 255 - masks)
    assert distance(other_mask["MASKED_MEAN"], theirs["MASKED_MEAN"]) > 0.1
    assert distance(other_mask["LATENT_MASK"], theirs["LATENT_MASK"]) == 1
    other_picture = run(graph, 255 - images, masks)
    for name in MOMENTS:
        assert distance(other_picture[name], theirs[name]) > 0.1, name


def test_rows_of_a_batch_are_encoded_apart(graph: onnxruntime.InferenceSession) -> None:
    images = pictures(3, 64, 96)
    masks = random_mask((3, 96, 64, 1))
    masks[1] = 0
    together = run(graph, images, masks)
    for row in range(3):
        alone = run(graph, images[row : row + 1], masks[row : row + 1])
        for name, array in alone.items():
            np.testing.assert_allclose(together[name][row], array[0], rtol=0, atol=1e-4)
