"""Families come into Triton when they are asked for, up to a number, and none goes that is in use."""

import asyncio
from typing import Any

import pytest

from bridge.catalog import Catalog
from bridge.errors import DeadlineExceeded, GenerationFailed, ModelOutOfService, ModelUnavailable
from bridge.families import Capability
from bridge.loading import Loader
from bridge.model_list import model_info
from bridge.prompts.presets import Presets
from bridge.residency import Residency, State
from bridge.residents import Residents
from bridge.triton import Holdings
from tests.bridge.families import entry

NAMES = ("fox", "owl", "wolf")


class Triton:
    """A Triton whose loads take as long as the test wants, which no real one's do."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.most_loaded = 0
        self.broken: dict[str, Exception] = {}
        self.failures: dict[tuple[str, int], str] = {}
        self.may_load = asyncio.Event()
        self.may_load.set()

    async def catalog(self, timeout: float) -> dict[str, Any]:
        families = [
            entry(display_name=name) | {"name": name, "ensembles": {Capability.TEXT_TO_IMAGE: name}} for name in NAMES
        ]
        return {"families": families, "upscalers": [], "problems": []}

    async def holdings(self, timeout: float) -> Holdings:
        return Holdings({name: (1,) for name in self.loaded}, self.failures)

    async def load(self, model: str) -> None:
        await self.may_load.wait()
        if model in self.broken:
            raise self.broken[model]
        if model not in self.loaded:
            self.loaded.append(model)
        self.most_loaded = max(self.most_loaded, len(self.loaded))

    async def unload(self, model: str) -> None:
        if model in self.loaded:
            self.loaded.remove(model)


class Bridge:
    """The parts of a bridge that decide what is loaded."""

    def __init__(self, max_resident: int = 2) -> None:
        self.triton = Triton()
        loader = Loader(self.triton)  # type: ignore[arg-type]
        self.residents = Residents(loader, max_resident)
        self.catalog = Catalog(self.triton, loader, self.residents, 1, Presets([]))  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Residency:
        return self.catalog.resolve(name, Capability.TEXT_TO_IMAGE)

    async def make(self, name: str, seconds: float | None = None) -> None:
        async with self.residents.use(self[name], seconds):
            assert name in self.triton.loaded


@pytest.fixture
async def bridge() -> Bridge:
    made = Bridge()
    await made.catalog.refresh()
    return made


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_is_loaded_at_the_start_and_the_others_when_they_are_asked_for(bridge: Bridge) -> None:
    assert bridge.triton.loaded == ["fox"]
    assert [bridge[name].state for name in NAMES] == [State.LOADED, State.AVAILABLE, State.AVAILABLE]
    await bridge.make("wolf")
    assert bridge.triton.loaded == ["fox", "wolf"]


async def test_the_one_that_was_not_used_for_longest_goes(bridge: Bridge) -> None:
    await bridge.make("fox")
    await bridge.make("wolf")
    await bridge.make("fox")
    await bridge.make("owl")
    assert bridge.triton.loaded == ["fox", "owl"]
    assert bridge["wolf"].state is State.AVAILABLE
    assert bridge.triton.most_loaded == 2


async def test_none_goes_that_is_in_use(bridge: Bridge) -> None:
    await bridge.make("fox")
    async with bridge.residents.use(bridge["wolf"], None):
        await bridge.make("fox")
        await bridge.make("owl")
        assert bridge.triton.loaded == ["wolf", "owl"]


async def test_where_all_are_in_use_one_gives_way_when_it_has_finished(bridge: Bridge) -> None:
    await bridge.make("wolf")
    async with bridge.residents.use(bridge["wolf"], None):
        async with bridge.residents.use(bridge["fox"], None):
            waiting = asyncio.create_task(bridge.make("owl"))
            await settle()
            assert set(bridge.triton.loaded) == {"fox", "wolf"}
            # It takes nothing new, or it might never have finished; that comes back in its turn.
            again = [asyncio.create_task(bridge.make(name)) for name in ("fox", "wolf")]
            await settle()
            assert [task.done() for task in again].count(True) == 1
        await settle()
    await asyncio.gather(waiting, *again)
    assert bridge.triton.most_loaded == 2
    assert [bridge[name].uses for name in NAMES] == [0, 0, 0]


async def test_many_users_of_three_families_share_room_for_one() -> None:
    bridge = Bridge(max_resident=1)
    await bridge.catalog.refresh()

    async def use(name: str) -> None:
        async with bridge.residents.use(bridge[name], None):
            for _ in range(3):
                assert bridge.triton.loaded == [name]
                await asyncio.sleep(0)

    for _ in range(3):
        await asyncio.gather(*(use(name) for name in NAMES * 5))
    assert bridge.triton.most_loaded == 1
    assert all(bridge[name].uses == 0 for name in NAMES)


async def test_users_wait_for_one_load_together_and_one_that_leaves_hurts_nobody(bridge: Bridge) -> None:
    bridge.triton.may_load.clear()
    users = [asyncio.create_task(bridge.make("owl")) for _ in range(3)]
    await settle()
    assert bridge["owl"].state is State.LOADING
    users[0].cancel()
    bridge.triton.may_load.set()
    await asyncio.gather(*users[1:])
    assert users[0].cancelled()
    assert bridge["owl"].uses == 0


async def test_a_load_that_takes_too_long_is_told_and_goes_on(bridge: Bridge) -> None:
    bridge.triton.may_load.clear()
    with pytest.raises(DeadlineExceeded, match="owl was not loaded within the time limit"):
        await bridge.make("owl", 0.01)
    bridge.triton.may_load.set()
    await settle()
    assert bridge["owl"].state is State.LOADED


async def test_one_that_cannot_be_loaded_says_why_and_is_not_tried_at_once_again(bridge: Bridge) -> None:
    bridge.triton.broken["owl"] = GenerationFailed("It failed.", "No memory is left.\nAt: somewhere")
    owl = bridge["owl"]
    with pytest.raises(ModelOutOfService, match="owl could not be loaded"):
        await bridge.make("owl")
    info = model_info(owl.family, owl, Presets([]), ())
    assert info.parameters["status"] == "failed"
    assert info.parameters["problem"] == "Version 3 could not be loaded: No memory is left."
    del bridge.triton.broken["owl"]
    with pytest.raises(ModelOutOfService):
        bridge["owl"]
    await bridge.make("fox")


async def test_without_triton_a_family_has_not_failed(bridge: Bridge) -> None:
    bridge.triton.broken["owl"] = ModelUnavailable("Triton is gone.")
    with pytest.raises(ModelUnavailable, match="Triton is gone"):
        await bridge.make("owl")
    assert bridge["owl"].state is State.AVAILABLE
    del bridge.triton.broken["owl"]
    await bridge.make("owl")


async def test_where_the_first_fails_the_next_is_loaded() -> None:
    bridge = Bridge()
    bridge.triton.broken["fox"] = GenerationFailed("It failed.")
    await bridge.catalog.refresh()
    await bridge.catalog.refresh()
    assert bridge.triton.loaded == ["owl"]
    assert bridge.catalog.resolve("", Capability.TEXT_TO_IMAGE).family.name == "owl"


async def test_between_two_families_none_is_loaded_for_having_none() -> None:
    bridge = Bridge(max_resident=1)
    await bridge.catalog.refresh()
    bridge.triton.may_load.clear()
    coming = asyncio.create_task(bridge.make("owl"))
    await settle()
    looking = asyncio.create_task(bridge.catalog.refresh())
    await settle()
    bridge.triton.may_load.set()
    await asyncio.gather(coming, looking)
    await settle()
    assert bridge.triton.loaded == ["owl"]


async def test_what_a_bridge_before_has_loaded_counts() -> None:
    bridge = Bridge(max_resident=2)
    bridge.triton.loaded += NAMES
    await bridge.catalog.refresh()
    assert bridge.triton.loaded == ["owl", "wolf"]
    assert [residency.family.name for residency in bridge.catalog.residencies] == ["owl", "wolf"]


async def test_a_version_beside_the_active_one_that_cannot_be_loaded_is_told(bridge: Bridge) -> None:
    bridge.triton.failures["fox_unet", 3] = "Internal: the graph is broken\nAt: somewhere"
    bridge.triton.failures["fox_unet", 2] = "Internal: it is no longer in the repository"
    bridge.triton.loaded.remove("fox")
    await bridge.catalog.refresh()
    info = model_info(bridge["fox"].family, bridge["fox"], Presets([]), (2,))
    assert info.parameters["status"] == "loaded"
    assert info.parameters["problem"] == "Version 3 of fox_unet could not be loaded: Internal: the graph is broken"
