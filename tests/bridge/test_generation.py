"""A valid wish becomes the tensors of the ensemble that makes it."""

import numpy as np
import pytest

from bridge.generation import SEEDS, Generation, Variation
from bridge.sizes import Size
from bridge.validation import validate
from protos import starweave_pb2
from tests.bridge.families import PAINTER, family


def wish(fields: dict[str, object] | None = None, **settings: object) -> Generation:
    request = starweave_pb2.ImageRequest(
        prompt="a fox", settings=starweave_pb2.ImageSettings(**settings), **(fields or {})
    )
    return validate(request, family(ensembles=PAINTER))


def test_tensors_have_the_types_of_the_ensemble() -> None:
    generation = wish().varied(1, 0.5)
    types = {name: array.dtype for name, array in generation.inputs().items()}
    assert types["SEED"] == types["VARIATION_SEED"] == np.int64
    assert types["WIDTH"] == types["HEIGHT"] == types["STEPS"] == types["PRIORITY"] == np.int32
    assert types["GUIDANCE_SCALE"] == types["GUIDANCE_INTERVAL"] == types["VARIATION_STRENGTH"] == np.float32


def test_variations_count_on_from_the_seed() -> None:
    generation = wish(seed=SEEDS - 1)
    assert generation.varied(1, 0.25).variation == Variation(0, 0.25)
    assert generation.varied(2, 0.25).seed == SEEDS - 1


@pytest.mark.parametrize(
    ("fields", "ensemble", "own_inputs"),
    [
        ({}, "fox", {"WIDTH", "HEIGHT"}),
        ({"init_image": b"x"}, "fox_image_to_image", {"STRENGTH"}),
        ({"init_image": b"x", "mask_image": b"x"}, "fox_inpaint", {"STRENGTH"}),
    ],
)
def test_each_capability_has_its_ensemble_and_inputs(
    fields: dict[str, object], ensemble: str, own_inputs: set[str]
) -> None:
    generation = wish(fields)
    common = {
        "PROMPT",
        "NEGATIVE_PROMPT",
        "SEED",
        "STEPS",
        "GUIDANCE_SCALE",
        "GUIDANCE_INTERVAL",
        "SAMPLER",
        "PRIORITY",
    }
    assert generation.ensemble == ensemble
    assert set(generation.inputs()) == common | own_inputs


def test_the_strength_is_the_32_bit_float_nearest_to_the_number_that_was_sent() -> None:
    strength = wish({"init_image": b"x", "strength": 0.7}).inputs()["STRENGTH"]
    assert (strength.dtype, strength.tolist()) == (np.float32, [[np.float32(0.7)]])


def test_another_size_is_generated_at_the_nearest_one_that_the_family_makes() -> None:
    generation = wish({"init_image": b"x"}).resized(Size(500, 250))
    assert (generation.size, generation.generated_size) == (Size(500, 250), Size(256, 128))
