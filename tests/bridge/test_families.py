"""A family is read from its parameters, and a broken one says what is wrong with it."""

import pytest

from bridge.errors import BrokenFamily
from bridge.families import read_family
from bridge.sizes import Size, SizePolicy
from tests.bridge.families import entry, family


def test_a_family_is_read_from_strings() -> None:
    fox = family()
    assert (fox.name, fox.version, fox.unet) == ("fox", 3, "fox_unet")
    assert fox.native_size == Size(128, 96)
    assert fox.sizes.policy is SizePolicy.FIT
    assert fox.default_guidance_scale == 5.5
    assert fox.samplers == ("ddim", "euler")
    assert fox.ensembles == {"text-to-image": "fox"}


@pytest.mark.parametrize("name", ["fox", "FOX", "the fox", "someone/Fox-v1"])
def test_a_family_answers_to_its_names(name: str) -> None:
    assert family().answers_to(name)


@pytest.mark.parametrize("name", ["", "fo", "someone/fox", "somewhere/fox"])
def test_a_family_answers_to_no_other_name(name: str) -> None:
    assert not family().answers_to(name)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("native_width", "wide"),
        ("max_steps", "0"),
        ("max_steps", "-1"),
        ("default_guidance_scale", "x"),
        ("samplers", "ddim"),
        ("samplers", '"ddim"'),
        ("samplers", "[1]"),
        ("size_policy", "any"),
    ],
)
def test_a_broken_parameter_is_named(key: str, value: str) -> None:
    with pytest.raises(BrokenFamily) as caught:
        family(**{key: value})
    assert f"The parameter `{key}` of the family fox is {value!r}" in str(caught.value)


def test_a_missing_parameter_is_named() -> None:
    broken = entry()
    del broken["parameters"]["samplers"]
    with pytest.raises(BrokenFamily, match="The family fox has no parameter `samplers`"):
        read_family(broken)
