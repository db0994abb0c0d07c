"""A family whose graphs compute in FP16, served and compared with diffusers in FP32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from export.demo_family import demo_options
from export.family import export_family
from export.precision import Precision
from tests.backends.serving import serve
from tests.checkpoint import CHECKPOINT
from tests.triton.diffusers_reference import CLOSE_DB, FAR_DB, Reference, psnr
from tests.triton.family_client import FamilyClient

PROMPT = "a red circle left of a yellow star on a blue background"
SETTINGS = {"STEPS": 8, "GUIDANCE_SCALE": 5.0, "SEED": 42, "WIDTH": 128, "HEIGHT": 128, "SAMPLER": "ddim"}
OTHERS = {
    "prompt": {"PROMPT": "a white moon on a green background"},
    "guidance": {"GUIDANCE_SCALE": 1.0},
    "steps": {"STEPS": 2},
}


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FamilyClient]:
    """The demo in FP16, in a Triton of its own."""
    folder = tmp_path_factory.mktemp("half")
    options = demo_options(folder / "model_repository", CHECKPOINT)
    export_family(replace(options, precision=Precision.FP16), lambda sentence: None)
    with serve(folder, "demo") as client:
        yield FamilyClient(client)


def test_its_pictures_are_those_of_fp32(half: FamilyClient) -> None:
    _, theirs = Reference.load().picture(
        "StableDiffusionPipeline",
        "ddim",
        SETTINGS["SEED"],  # type: ignore[arg-type]
        prompt=PROMPT,
        width=128,
        height=128,
        num_inference_steps=8,
        guidance_scale=5.0,
    )
    likeness = psnr(half.picture(PROMPT=PROMPT, **SETTINGS).image, theirs)
    # Above what rounding to FP16 costs, below what FP32 reaches: it is FP16 that runs.
    assert CLOSE_DB <= likeness < 80
    for name, change in OTHERS.items():
        other = half.picture(**{"PROMPT": PROMPT, **SETTINGS, **change})
        assert psnr(other.image, theirs) < FAR_DB, f"another {name} makes the same picture"
