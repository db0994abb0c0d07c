"""The engine's metrics at Triton's metrics port."""

from __future__ import annotations

import re
import time
import urllib.request

from diffusion_engine.metrics import METRICS

from standalone.triton import Triton
from tests.triton.family_client import FamilyClient


def values(triton: Triton) -> dict[str, float]:
    """Every sample of the demo's UNet by its name and labels."""
    with urllib.request.urlopen(triton.metrics_url) as response:
        text = response.read().decode()
    found = re.findall(r'^(starweave_\w+)\{([^}]*model="demo_unet"[^}]*)\} (\S+)$', text, flags=re.M)
    return {f"{name}{{{labels}}}": float(value) for name, labels, value in found}


def total(samples: dict[str, float], name: str, label: str = "") -> float:
    return sum(value for key, value in samples.items() if key.startswith(f"{name}{{") and label in key)


def test_steps_and_pictures_are_counted(demo: FamilyClient, triton: Triton) -> None:
    demo.picture(PROMPT="a red star", SEED=1, STEPS=1)
    steps = demo.control(op="record", last=1)["steps"][0]["index"]
    while total(before := values(triton), "starweave_steps_total") < steps:
        time.sleep(0.1)
    demo.picture(PROMPT="a red star", SEED=1, STEPS=7)
    while total(after := values(triton), "starweave_steps_total") < steps + 7:
        time.sleep(0.1)
    finished = 'outcome="finished"'
    pictures = "starweave_pictures_total"
    assert total(after, pictures, finished) == total(before, pictures, finished) + 1
    rows = "starweave_step_rows_sum"
    assert total(after, rows) == total(before, rows) + 14
    names = {key.split("{")[0] for key in after}
    for metric in METRICS:
        assert metric.name in names or f"{metric.name}_count" in names
