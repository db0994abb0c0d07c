"""The generated parts of README.md: `make readme` writes them, a test compares them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from diffusion_engine.metrics import METRICS
from diffusion_engine.samplers import SAMPLERS

from benchmarks.readme_table import benchmark_table
from bridge.observability.metrics import metrics_table as bridge_metrics_table
from bridge.settings import settings_table

README = Path(__file__).parents[1] / "README.md"


def samplers_table() -> str:
    """Which diffusers scheduler each sampler equals."""
    rows = ["| sampler | diffusers scheduler | with |", "|---|---|---|"]
    for name, sampler in SAMPLERS.items():
        overrides = ", ".join(f"`{key}={value}`" for key, value in sampler.overrides.items())
        rows.append(f"| `{name}` | `{sampler.diffusers_class}` | {overrides} |")
    return "\n".join(rows) + "\n"


def metrics_table() -> str:
    """The diffusion backend's metrics."""
    rows = ["| metric | kind | meaning |", "|---|---|---|"]
    for metric in METRICS:
        label = f"; label `{metric.label}`" if metric.label else ""
        rows.append(f"| `{metric.name}` | {metric.kind.lower()} | {metric.description}{label} |")
    return "\n".join(rows) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "samplers": samplers_table,
    "settings": settings_table,
    "metrics": metrics_table,
    "benchmarks": benchmark_table,
    "bridge metrics": bridge_metrics_table,
}


def render(text: str) -> str:
    """README's text with its generated parts made anew."""
    for name, make in PARTS.items():
        block = f"<!-- {name} -->\n{make()}<!-- /{name} -->"
        text, count = re.subn(f"<!-- {name} -->\n.*?<!-- /{name} -->", lambda _, block=block: block, text, flags=re.S)
        if count != 1:
            raise ValueError(f"README.md must have one part <!-- {name} -->.")
    return text


if __name__ == "__main__":
    README.write_text(render(README.read_text()))
