"""Preferences, experiments, counts of use and `auto`, through a real bridge with a library and a real Triton."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner
from PIL import Image

from protos import image_insight_pb2, image_library_pb2, starweave_pb2
from standalone.command import main
from tests.triton.bridge_in_process import RunningBridge, running
from tests.triton.family_client import FamilyClient

PROMPT = "a red circle on a blue background"
PRESETS = """
styles: {soft: {after: [soft]}, outline: {after: [outline]}}
templates: {centred: {after: [centred]}}
experiments: {framing: {style: outline, arms: {plain: {}, centred: {template: centred}}}}
"""


class Insight:
    """A bridge, with what the tests ask of it."""

    def __init__(self, bridge: RunningBridge) -> None:
        self.images, self.library, self.service = bridge.images, bridge.library, bridge.insight
        self._address = bridge.address
        self._seed = 0

    async def make(self, user: str = "ann", model: str = "", wanted: bool | None = None, **settings: Any) -> Any:
        self._seed += 1
        request = starweave_pb2.ImageRequest(
            prompt=PROMPT,
            model=model,
            user_id=user,
            use_preferences=wanted,
            settings=starweave_pb2.ImageSettings(width=64, height=64, steps=1, seed=self._seed, **settings),
        )
        response = await self.images.GenerateImage(request)
        assert response.error == ""
        return response

    async def command(self, *arguments: str) -> str:
        run = await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--address", self._address])
        assert run.exit_code == 0, run.output
        return str(run.output)


@pytest.fixture
async def insight(triton_url: str, demo: FamilyClient, tmp_path: Path) -> AsyncIterator[Insight]:
    presets = tmp_path / "presets"
    presets.mkdir()
    (presets / "mine.yaml").write_text(PRESETS)
    async with running(triton_url, library=tmp_path / "library", presets=presets) as bridge:
        yield Insight(bridge)


async def test_preferences_fill_what_a_request_leaves_open(insight: Insight) -> None:
    for _ in range(3):
        await insight.make(style="soft")
    told = await insight.service.GetPreferences(image_insight_pb2.PreferencesRequest(user_id="ann"))
    assert (told.style.value, told.style.images, told.quality.value) == ("soft", 3, "")
    assert "style: soft (3 pictures, 100%)" in await insight.command("preferences", "ann")
    preferred = (await insight.make(wanted=True)).metadata.debug_info
    assert (preferred["prompt"], preferred["preferred"]) == (f"{PROMPT}, soft", "style 'soft'")
    for own in (
        await insight.make(),
        await insight.make(wanted=False),
        await insight.make(user="bob", wanted=True),
    ):
        assert own.metadata.debug_info["prompt"] == PROMPT
        assert "preferred" not in own.metadata.debug_info
    chosen = (await insight.make(wanted=True, style="outline")).metadata.debug_info
    assert (chosen["style"], "preferred" in chosen) == ("outline", False)
    assert "style: -" in await insight.command("preferences", "ann", "--reset")
    assert (await insight.make(wanted=True)).metadata.debug_info["prompt"] == PROMPT


async def test_an_experiment_is_run_recorded_and_reported(insight: Insight) -> None:
    users = [f"user{number}" for number in range(8)]
    arms: dict[str, str] = {}
    for user in users:
        for _ in range(2):
            response = await insight.make(user=user, style="outline")
            info = response.metadata.debug_info
            arms.setdefault(user, info["experiment"])
            assert info["experiment"] == arms[user]
            is_centred = info["experiment"] == "framing/centred"
            assert info["prompt"] == (f"{PROMPT}, outline, centred" if is_centred else f"{PROMPT}, outline")
            rating = image_library_pb2.RateImageRequest(id=response.request_id, rating=5 if is_centred else 2)
            kept = await insight.library.RateImage(rating)
            assert (kept.experiment, kept.template) == (arms[user], "centred" if is_centred else "")
    assert set(arms.values()) == {"framing/plain", "framing/centred"}
    assert "experiment" not in (await insight.make(user="user1", style="soft")).metadata.debug_info
    assert "experiment" not in (await insight.make(user="", style="outline")).metadata.debug_info
    report = await insight.service.GetExperimentReport(image_insight_pb2.ExperimentReportRequest(name="framing"))
    plain, centred = report.arms
    assert (plain.name, centred.name, centred.template) == ("plain", "centred", "centred")
    assert plain.images + centred.images == 16
    assert (plain.raters + centred.raters, plain.rating.value, centred.rating.value) == (8, 2.0, 5.0)
    assert (centred.difference.value, plain.HasField("difference")) == (3.0, False)
    assert "+3.00" in await insight.command("experiment", "framing")
    assert "No picture" in await insight.command("experiment", "unknown")


async def test_use_is_told_and_auto_goes_by_it(insight: Insight, tmp_path: Path) -> None:
    first = await insight.make(model="auto")
    assert first.metadata.debug_info["model_choice"].startswith("demo, best of 1: 100% of pictures finished, not timed")
    assert "fallback" not in first.metadata.debug_info
    second = await insight.make(model="auto", user="bob")
    assert "s a picture" in second.metadata.debug_info["model_choice"]
    await insight.library.RateImage(image_library_pb2.RateImageRequest(id=second.request_id, rating=4))
    usage = await insight.service.GetUsage(image_insight_pb2.UsageRequest(by=image_insight_pb2.UsageRequest.USER))
    assert {use.name: (use.images, use.rated) for use in usage.uses} == {"ann": (1, 0), "bob": (1, 1)}
    for by in ("model", "user", "style", "hour"):
        assert "4.00 of 1" in await insight.command("usage", "--by", by, "--limit", "5")
    sheet = tmp_path / "sheet.png"
    arguments = ["models", "compare", "demo", "starweave/demo", "unheard-of", "--prompt", PROMPT]
    output = await insight.command(*arguments, "--steps", "1", "--size", "64x64", "-o", str(sheet))
    assert "4.00 of 1" in output
    assert "unheard-of: demo stood in for it." in output
    with Image.open(sheet) as picture:
        assert picture.size == (200 + 3 * 200 + 8, 24 + 2 * 200 + 8)


@pytest.mark.parametrize(
    ("method", "asked", "text"),
    [
        ("GetUsage", image_insight_pb2.UsageRequest(limit=1001), "limit is 1001; it must be from 1 to 1000"),
        ("GetUsage", image_insight_pb2.UsageRequest(by=9), "by is 9; it must be one of model, user, style, hour"),
        ("GetExperimentReport", image_insight_pb2.ExperimentReportRequest(), "name is empty"),
        ("GetPreferences", image_insight_pb2.PreferencesRequest(), "user_id is empty"),
        ("ResetPreferences", image_insight_pb2.PreferencesRequest(user_id="\0"), "control character"),
    ],
)
async def test_what_makes_no_sense_is_refused(insight: Insight, method: str, asked: Any, text: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=text) as caught:
        await getattr(insight.service, method)(asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
