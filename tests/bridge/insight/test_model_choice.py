"""What `model: "auto"` makes of the measured success, speed and ratings of several families."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.errors import GenerationFailed
from bridge.insight.model_choice import ModelChooser
from bridge.insight.model_ratings import ModelRatings, Ratings
from bridge.observability.metrics import Metrics
from bridge.prompts.preset_folder import BUILT_IN, PresetFolder
from bridge.recovery.circuits import Circuits
from protos import starweave_pb2
from tests.bridge.families import PAINTER, family


class Measured:
    """Three families, of which only `painter` makes pictures from pictures, and what was measured of them."""

    def __init__(self) -> None:
        families = [_renamed(family(), name) for name in ("first", "second")]
        families.append(_renamed(family(ensembles=PAINTER), "painter"))
        self.metrics = Metrics()
        self.circuits = Circuits(1, 1000, self.metrics)
        self.ratings = ModelRatings()
        self.residencies = [SimpleNamespace(family=each, is_lost=False) for each in families]
        self.catalog: Any = SimpleNamespace(families=families, residencies=self.residencies)

    async def newest(self) -> ModelRatings:
        return self.ratings

    def ended(self, name: str, count: int, seconds: float | None = None, code: str = "OK") -> None:
        self.metrics.pictures.labels(name, "text-to-image", code).inc(count)
        for _ in range(count if seconds else 0):
            self.metrics.picture_seconds.labels(name, "text-to-image").observe(seconds or 0)

    async def chosen(self, model: str = "auto", **request: Any) -> tuple[str, str]:
        reader: Any = self
        chooser = ModelChooser(self.catalog, self.circuits, PresetFolder(BUILT_IN), reader, self.metrics)
        choice = await chooser.choose(starweave_pb2.ImageRequest(model=model, **({"prompt": "a fox"} | request)))
        return choice.model, choice.reason


def _renamed(described: Any, name: str) -> Any:
    return replace(described, name=name, display_name=name, aliases=())


@pytest.fixture
def measured() -> Measured:
    return Measured()


async def test_another_model_is_left_alone(measured: Measured) -> None:
    assert await measured.chosen("second") == ("second", "")
    assert await measured.chosen("") == ("", "")


async def test_without_measurements_the_first_is_taken(measured: Measured) -> None:
    name, reason = await measured.chosen("AUTO")
    assert name == "first"
    assert reason == ("first, best of 3: 100% of pictures finished, not timed yet, 3.0 stars expected from 0 ratings")


async def test_a_faster_model_is_taken(measured: Measured) -> None:
    measured.ended("first", 5, seconds=2.0)
    measured.ended("second", 5, seconds=0.5)
    measured.ended("painter", 5, seconds=1.0)
    name, reason = await measured.chosen()
    assert name == "second"
    assert "0.50 s a picture" in reason


async def test_success_counts_more_than_speed(measured: Measured) -> None:
    measured.ended("first", 5, seconds=2.0)
    measured.ended("second", 5, seconds=1.0)
    measured.ended("second", 20, code="INTERNAL")
    measured.ended("painter", 5, seconds=9.0)
    assert (await measured.chosen())[0] == "first"


async def test_refusals_are_not_the_models_fault(measured: Measured) -> None:
    measured.ended("first", 5, seconds=1.0)
    measured.ended("first", 90, code="RESOURCE_EXHAUSTED")
    measured.ended("first", 90, code="CANCELLED")
    for name in ("second", "painter"):
        measured.ended(name, 5, seconds=2.0)
    assert (await measured.chosen())[0] == "first"


async def test_ratings_count_by_the_kind_of_prompt(measured: Measured) -> None:
    measured.ratings = ModelRatings(
        {("first", "anime"): Ratings(20, 40), ("first", ""): Ratings(20, 95), ("second", "anime"): Ratings(20, 95)}
    )
    assert (await measured.chosen())[0] == "first"
    name, reason = await measured.chosen(settings=starweave_pb2.ImageSettings(style="Anime"))
    assert name == "second"
    assert "stars expected for anime from 20 ratings" in reason
    assert (await measured.chosen(prompt="a fox, manga"))[0] == "second"


async def test_one_rating_decides_little(measured: Measured) -> None:
    measured.ratings = ModelRatings({("first", ""): Ratings(30, 130), ("second", ""): Ratings(1, 5)})
    assert (await measured.chosen())[0] == "first"


async def test_only_those_that_can_are_asked(measured: Measured) -> None:
    assert (await measured.chosen(init_image=b"x"))[0] == "painter"
    measured.residencies[0].is_lost = True
    assert (await measured.chosen())[0] == "second"
    measured.circuits.failed("second", GenerationFailed("no"))
    assert (await measured.chosen())[0] == "painter"
    measured.circuits.failed("painter", GenerationFailed("no"))
    assert await measured.chosen() == ("", "")
