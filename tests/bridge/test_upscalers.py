"""Upscalers are discovered from the catalog, loaded, followed, and told of when they are not ready."""

from typing import Any

import pytest

from bridge.errors import BrokenUpscaler, ModelUnavailable
from bridge.upscalers import Upscalers, read_upscaler

PARAMETERS = {
    "upscale_factor": "2",
    "version": "3",
    "smallest_tile": "16",
    "largest_tile": "256",
    "tile_multiple": "1",
    "reach": "8",
}


class LoadingTriton:
    """A Triton that notes what it loads and unloads; it fails to load what is in `broken`."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.broken: set[str] = set()

    async def load(self, model: str) -> None:
        self.orders.append(f"load {model}")
        if model in self.broken:
            raise ModelUnavailable("no memory")

    async def unload(self, model: str) -> None:
        self.orders.append(f"unload {model}")


def entry(fingerprint: str = "ab", **changes: str) -> dict[str, Any]:
    parameters = PARAMETERS | changes
    return {
        "name": f"upscaler_x{parameters['upscale_factor']}",
        "version": int(parameters["version"]),
        "parameters": parameters,
        "fingerprint": fingerprint,
    }


@pytest.fixture
def triton() -> LoadingTriton:
    return LoadingTriton()


@pytest.fixture
def upscalers(triton: LoadingTriton) -> Upscalers:
    return Upscalers(triton)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reach": ""}, "`reach` of the upscaler upscaler_x2 is ''"),
        ({"upscale_factor": "1"}, "it must be 2 to 8"),
        ({"reach": "100"}, "export it again"),
    ],
)
def test_one_that_is_broken_is_told_of_and_hides_no_other(
    upscalers: Upscalers, changes: dict[str, str], told: str
) -> None:
    with pytest.raises(BrokenUpscaler, match=told):
        read_upscaler(entry(**changes))
    (problem,) = upscalers.learn([entry(**changes), entry(upscale_factor="4")])
    assert told in problem
    assert upscalers.factors == (4,)


async def test_it_is_loaded_once_and_unloaded_when_it_is_gone(triton: LoadingTriton, upscalers: Upscalers) -> None:
    upscalers.learn([entry(upscale_factor="4"), entry()])
    assert upscalers.factors == (2, 4)
    with pytest.raises(ModelUnavailable, match="upscaler_x2 is being loaded"):
        upscalers.resolve(2)
    ready: dict[str, tuple[int, ...]] = {}
    for _ in range(2):
        await upscalers.follow(ready)
        ready = {"upscaler_x2": (3,), "upscaler_x4": (3,)}
    assert triton.orders == ["load upscaler_x4", "load upscaler_x2"]
    assert upscalers.resolve(2).upscaler.version == 3
    upscalers.learn([entry()])
    await upscalers.follow(ready)
    assert triton.orders[2:] == ["unload upscaler_x4"]
    assert upscalers.factors == (2,)


async def test_a_new_version_is_taken_over_when_the_repository_has_come_to_rest(
    triton: LoadingTriton, upscalers: Upscalers
) -> None:
    upscalers.learn([entry()])
    await upscalers.follow({})
    resident = upscalers.resolve(2)
    for expected in (3, 4):
        upscalers.learn([entry("cd", version="4")])
        await upscalers.follow({"upscaler_x2": (3,)})
        assert upscalers.resolve(2) is resident
        assert resident.upscaler.version == expected
    assert triton.orders == ["load upscaler_x2", "load upscaler_x2"]


async def test_one_that_cannot_be_loaded_says_so_and_is_not_tried_over_and_over(
    triton: LoadingTriton, upscalers: Upscalers
) -> None:
    triton.broken.add("upscaler_x2")
    for _ in range(2):
        upscalers.learn([entry()])
        await upscalers.follow({})
    assert triton.orders == ["load upscaler_x2"]
    with pytest.raises(ModelUnavailable, match="upscaler_x2 could not be loaded"):
        upscalers.resolve(2)


async def test_one_that_has_died_says_so(upscalers: Upscalers) -> None:
    upscalers.learn([entry()])
    await upscalers.follow({})
    upscalers.resolve(2).lose(ModelUnavailable("dead"))
    with pytest.raises(ModelUnavailable, match="has failed and is being started again"):
        upscalers.resolve(2)
