"""Prometheus' own judgement of its configuration and alerts, and the dashboards against the metrics there are.

(Every query against a Prometheus that has scraped a real run: tests/triton/test_production_stack.py.)
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from diffusion_engine.metrics import METRICS

from bridge.observability.metrics import Metrics
from tests.deploy.compose import PROJECT
from tests.deploy.programs import program

PROMETHEUS = PROJECT / "deploy" / "prometheus"
GRAFANA = PROJECT / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


@pytest.mark.parametrize(
    "arguments",
    [["check", "config", "prometheus.yaml"], ["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_promtool_agrees(arguments: list[str]) -> None:
    command = [program("promtool"), *arguments]
    run = subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def queries(dashboard: dict[str, Any]) -> list[str]:
    """Those of Prometheus (those of the library: tests/library/test_usage_dashboard.py)."""
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"] if "expr" in target]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert dashboard["uid"] == f"starweave-{path.stem}"
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    provisioned = [
        source
        for file in sorted((GRAFANA / "provisioning" / "datasources").glob("*.yaml"))
        for source in yaml.safe_load(file.read_text())["datasources"]
    ]
    kinds = {source["uid"]: source["type"] for source in provisioned}
    for target in (target for panel in panels for target in panel["targets"]):
        source = target["datasource"]
        assert source["type"] == kinds[source["uid"]]
        assert target["expr" if source["type"] == "prometheus" else "rawSql"]


def test_every_metric_of_ours_exists() -> None:
    ours = {metric.name for metric in METRICS} | {metric.name for metric in Metrics().descriptions}
    rules = yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())["groups"]
    ours |= {rule["record"] for group in rules for rule in group["rules"] if "record" in rule}
    texts = [query for path in DASHBOARDS for query in queries(json.loads(path.read_text()))]
    texts += [rule["expr"] for group in rules for rule in group["rules"]]
    asked = {name for text in texts for name in re.findall(r"starweave[\w:]+", text)}
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} <= ours


def test_every_metric_of_ours_is_shown() -> None:
    """Somewhere on a dashboard."""
    shown = "".join(path.read_text() for path in DASHBOARDS)
    names = [metric.name for metric in METRICS] + [metric.name for metric in Metrics().descriptions]
    assert [name for name in names if name not in shown] == []
