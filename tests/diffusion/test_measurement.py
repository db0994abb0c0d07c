"""Measuring the cost of steps, and keeping it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pytest
from diffusion_engine.measurement import cost_curve

Array = npt.NDArray[np.float32]


class CountingUNet:
    condition_shapes: ClassVar = {"encoder_hidden_states": (None, 8), "time_ids": (6,)}
    sample_channels = 4
    fingerprint = ("graph", "provider")

    def __init__(self) -> None:
        self.rows: list[int] = []

    def run(self, sample: Array, timestep: Array, conditions: Mapping[str, Array]) -> Array:
        assert {len(sample)} == {len(timestep), *(len(each) for each in conditions.values())}
        assert {name: each.shape[1:] for name, each in conditions.items()} == {
            "encoder_hidden_states": (77, 8),
            "time_ids": (6,),
        }
        self.rows.append(len(sample))
        return sample


def test_it_is_measured_once(tmp_path: Path) -> None:
    unet = CountingUNet()
    first = cost_curve(unet, (8, 8), tmp_path / "cache")  # type: ignore[arg-type]
    assert list(first) == [1, 2, 4, 8, 16, 32]
    assert {rows: unet.rows.count(rows) for rows in first} == {rows: 21 for rows in first}
    taken = len(unet.rows)
    assert cost_curve(unet, (8, 8), tmp_path / "cache") == first  # type: ignore[arg-type]
    assert len(unet.rows) == taken
    cost_curve(unet, (16, 16), tmp_path / "cache")  # type: ignore[arg-type]
    assert len(unet.rows) == 2 * taken


@pytest.mark.parametrize("content", ["", "[]", '{"1": "fast"}', '{"1": 0.1'])
def test_a_broken_cache_is_measured_again(tmp_path: Path, content: str) -> None:
    unet = CountingUNet()
    first = cost_curve(unet, (8, 8), tmp_path)  # type: ignore[arg-type]
    (file,) = tmp_path.iterdir()
    file.write_text(content)
    again = cost_curve(unet, (8, 8), tmp_path)  # type: ignore[arg-type]
    assert list(again) == list(first)


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert cost_curve(CountingUNet(), (8, 8), blocked / "cache")  # type: ignore[arg-type]
