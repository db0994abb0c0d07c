"""Which family makes the picture of a client that names one, another or none."""

from typing import Any

import pytest

from bridge.errors import ModelUnavailable
from bridge.families import Capability
from bridge.triton import Holdings
from tests.bridge.families import catalog_of, entry


class TwoFamilies:
    """A Triton that holds two families at once, which no repository of these tests does: a painter and a repairer."""

    async def catalog(self, timeout: float) -> dict[str, Any]:
        names = {
            "painter": {Capability.TEXT_TO_IMAGE: "painter"},
            "repairer": {Capability.INPAINTING: "repairer_inpaint"},
        }
        return {
            "families": [
                entry(aliases='["someone/painter"]' if name == "painter" else "[]", display_name=name)
                | {"name": name, "ensembles": ensembles, "models": []}
                for name, ensembles in names.items()
            ],
            "upscalers": [],
            "problems": [],
        }

    async def holdings(self, timeout: float) -> Holdings:
        return Holdings({}, {})

    async def load(self, model: str) -> None:
        pass


async def resolved(model: str, capability: Capability, fallback_models: tuple[str, ...] = ()) -> str:
    catalog = catalog_of(TwoFamilies(), fallback_models)
    await catalog.refresh()
    return catalog.resolve(model, capability).family.name


@pytest.mark.parametrize("capability", Capability)
async def test_a_family_that_is_named_is_taken_whatever_it_offers(capability: Capability) -> None:
    assert await resolved("repairer", capability) == "repairer"
    assert await resolved("Someone/Painter", capability) == "painter"


@pytest.mark.parametrize("fallback_models", [(), ("painter",), ("repairer",)])
@pytest.mark.parametrize("model", ["", "runwayml/stable-diffusion-v1-5"])
async def test_an_unknown_one_falls_back_to_a_family_that_offers_what_is_asked_for(
    model: str, fallback_models: tuple[str, ...]
) -> None:
    assert await resolved(model, Capability.TEXT_TO_IMAGE, fallback_models) == "painter"
    assert await resolved(model, Capability.INPAINTING, fallback_models) == "repairer"


async def test_where_none_offers_it_the_first_of_the_fallbacks_says_so() -> None:
    assert await resolved("", Capability.IMAGE_TO_IMAGE, ("repairer",)) == "repairer"


async def test_without_a_family_there_is_no_model() -> None:
    with pytest.raises(ModelUnavailable, match="No model is ready"):
        catalog_of(TwoFamilies()).resolve("", Capability.TEXT_TO_IMAGE)
