"""What a picture is made of is checked before it takes anybody's time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from diffusion_engine.condition import ConditionFormat, Text
from diffusion_engine.errors import InvalidRequest
from diffusion_engine.init_image import INIT_TENSORS, InitImage, Mask, Posterior, init_images
from diffusion_engine.inputs import Inputs, LatentFormat
from diffusion_engine.picture import Picture

Array = npt.NDArray[np.float32]

PLAIN = ConditionFormat(text_width=6)
FORMAT = LatentFormat(channels=4, vae_scale_factor=8, condition=PLAIN, takes_conditioning=False)
REPAINTING = LatentFormat(channels=4, vae_scale_factor=8, condition=PLAIN, takes_conditioning=True)
PICTURE = Picture(width=64, height=64, steps=5, guidance_scale=5.0, sampler="ddim", seed=1)
UNGUIDED = Picture(width=64, height=64, steps=5, guidance_scale=1.0, sampler="ddim", seed=1)
TEXT = Text(np.zeros((3, 6), np.float32))
POSTERIOR = Posterior(*np.zeros((2, 4, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("inputs", "form", "sentence"),
    [
        (Inputs(PICTURE, Text(TEXT.embeddings[:, :5])), FORMAT, "PROMPT_EMBEDDINGS has the shape (3, 5)"),
        (Inputs(PICTURE, TEXT, Text(TEXT.embeddings[:2])), FORMAT, "NEGATIVE_PROMPT_EMBEDDINGS has the shape (2, 6)"),
        (Inputs(PICTURE, TEXT), FORMAT, "NEGATIVE_PROMPT_EMBEDDINGS is missing"),
        (
            Inputs(PICTURE, TEXT, TEXT, InitImage(Posterior(*np.zeros((2, 4, 8, 9), np.float32)))),
            FORMAT,
            "INIT_MEAN has the shape (4, 8, 9); it must be (4, 8, 8)",
        ),
        (
            Inputs(PICTURE, TEXT, TEXT, InitImage(POSTERIOR, Mask(np.zeros((1, 4, 8), np.float32), POSTERIOR))),
            FORMAT,
            "LATENT_MASK has the shape (1, 4, 8); it must be (1, 8, 8)",
        ),
        (Inputs(PICTURE, TEXT, TEXT), REPAINTING, "This model only repaints"),
        (Inputs(PICTURE, TEXT, TEXT, InitImage(POSTERIOR)), REPAINTING, "This model only repaints"),
    ],
)
def test_what_the_unet_cannot_take_is_named(inputs: Inputs, form: LatentFormat, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inputs.check(form)
    assert str(caught.value).startswith(sentence)


def test_what_it_can_take_passes() -> None:
    Inputs(PICTURE, TEXT, TEXT).check(FORMAT)
    Inputs(UNGUIDED, TEXT).check(FORMAT)
    masked = InitImage(POSTERIOR, Mask(np.zeros((1, 8, 8), np.float32), POSTERIOR))
    Inputs(PICTURE, TEXT, TEXT, masked).check(FORMAT)
    Inputs(PICTURE, TEXT, TEXT, masked).check(REPAINTING)


def test_init_images_come_whole_or_not_at_all() -> None:
    tensors: dict[str, Array | None] = {
        name: np.zeros((2, 1 if name == "LATENT_MASK" else 4, 8, 8), np.float32) for name in INIT_TENSORS
    }
    absent = dict.fromkeys(INIT_TENSORS)
    assert init_images(absent) is None
    both = init_images(tensors)
    assert both is not None and len(both) == 2 and both[0].mask is not None
    plain = init_images({**absent, "INIT_MEAN": tensors["INIT_MEAN"], "INIT_STD": tensors["INIT_STD"]})
    assert plain is not None and plain[1].mask is None
    for name in INIT_TENSORS:
        with pytest.raises(InvalidRequest, match="came alone"):
            init_images({**tensors, name: None})
