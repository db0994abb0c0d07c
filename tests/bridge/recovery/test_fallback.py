"""Chains: what is unknown, away or failing is stood in for, and it is told why."""

from typing import Any

import pytest

from bridge.errors import GenerationFailed, ModelOutOfService, ModelUnavailable
from bridge.families import Capability
from bridge.observability.metrics import Metrics
from bridge.recovery.circuits import Circuits
from bridge.recovery.fallback import Fallback, FallbackReason, parse_chains
from bridge.triton import Holdings
from tests.bridge.families import catalog_of, entry

TEXT, REPAINT = Capability.TEXT_TO_IMAGE, Capability.INPAINTING


class ThreeFamilies:
    """A Triton that holds three families at once, as no repository of these tests does; `broken` cannot be loaded."""

    broken = ""

    async def catalog(self, timeout: float) -> dict[str, Any]:
        offers = {"fox": [TEXT, REPAINT], "wolf": [TEXT], "owl": [TEXT, REPAINT]}
        return {
            "families": [
                entry(aliases=f'["someone/{name}"]', display_name=name)
                | {"name": name, "ensembles": {offer: f"{name}_{offer}" for offer in offered}, "models": []}
                for name, offered in offers.items()
            ],
            "upscalers": [],
            "problems": [],
        }

    async def holdings(self, timeout: float) -> Holdings:
        return Holdings({}, {})

    async def unload(self, model: str) -> None:
        pass

    async def load(self, model: str) -> None:
        if self.broken and model.startswith(self.broken):
            raise GenerationFailed("It cannot be loaded.")


class Setting:
    def __init__(self, chains: str, broken: str = "") -> None:
        self.triton = ThreeFamilies()
        self.triton.broken = broken
        self.catalog = catalog_of(self.triton)
        self.circuits = Circuits(1, 60, Metrics())
        self.fallback = Fallback(self.catalog, self.circuits, parse_chains(chains))

    def choose(self, model: str, capability: Capability = TEXT) -> tuple[str, FallbackReason | None]:
        choice = self.fallback.choose(model, capability)
        return choice.residency.family.name, choice.reason

    def lose(self, name: str) -> None:
        for family in self.catalog.families:
            if family.name == name:
                self.catalog.residency(family).lose(ModelUnavailable(f"{name} has died."))


async def setting(chains: str = "", broken: str = "") -> Setting:
    made = Setting(chains, broken)
    await made.catalog.refresh()
    return made


async def test_what_is_there_is_taken() -> None:
    models = await setting("fox=wolf; *=owl")
    assert models.choose("fox") == ("fox", None)
    assert models.choose("SOMEONE/Fox") == ("fox", None)
    assert models.choose("")[1] is None


async def test_an_unknown_model_has_its_own_chain_or_the_one_of_any() -> None:
    models = await setting("runwayml/stable-diffusion-v1-5=nobody,wolf; *=owl,fox")
    assert models.choose("Runwayml/stable-diffusion-v1-5") == ("wolf", FallbackReason.UNKNOWN)
    assert models.choose("another") == ("owl", FallbackReason.UNKNOWN)
    assert (await setting()).choose("another") == ("fox", FallbackReason.UNKNOWN)


async def test_one_that_has_died_is_stood_in_for_by_the_first_of_its_chain_that_can() -> None:
    models = await setting("someone/fox=wolf,owl; fox=wolf,owl")
    models.lose("fox")
    assert models.choose("fox") == ("wolf", FallbackReason.FAILED)
    assert models.choose("someone/fox", REPAINT) == ("owl", FallbackReason.FAILED)
    models.lose("wolf")
    assert models.choose("fox") == ("owl", FallbackReason.FAILED)


async def test_without_a_chain_a_known_model_is_never_replaced() -> None:
    models = await setting("wolf=owl")
    models.lose("fox")
    with pytest.raises(ModelUnavailable, match="fox has failed and is being started again"):
        models.choose("fox")


async def test_one_that_cannot_be_loaded_is_stood_in_for() -> None:
    models = await setting("fox=wolf", broken="fox")
    assert models.choose("fox") == ("wolf", FallbackReason.UNAVAILABLE)
    with pytest.raises(ModelOutOfService, match="fox could not be loaded"):
        (await setting("", broken="fox")).choose("fox")


async def test_one_that_keeps_failing_is_left_alone() -> None:
    models = await setting("fox=owl")
    models.circuits.failed("fox", GenerationFailed("Out of memory."))
    assert models.choose("fox") == ("owl", FallbackReason.FAILED)
    assert models.choose("unknown") == ("wolf", FallbackReason.UNKNOWN)
    models.circuits.failed("owl", GenerationFailed("Out of memory."))
    with pytest.raises(ModelOutOfService, match="fox has failed 1 times in a row"):
        models.choose("fox")


def test_chains_are_read() -> None:
    assert parse_chains(" sdxl = sd15 , demo ;*=demo; ") == {"sdxl": ("sd15", "demo"), "*": ("demo",)}
    assert parse_chains("") == {}


@pytest.mark.parametrize("text", ["fox", "fox=", "=wolf", "fox=wolf; owl"])
def test_what_is_no_chain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no chain; write it as model=family,family"):
        parse_chains(text)
