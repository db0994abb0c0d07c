"""The Kubernetes manifests: valid by Kubernetes' own schemas, and in step with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bridge.health import BRIDGE_SERVICE, IMAGE_SERVICE
from bridge.settings import ENVIRONMENT_PREFIX, Settings
from tests.deploy.compose import PROJECT

DEPLOY = PROJECT / "deploy"
KUSTOMIZATION = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
MANIFESTS = [DEPLOY / path for path in KUSTOMIZATION["resources"]]


def resources() -> list[dict[str, Any]]:
    return [resource for path in MANIFESTS for resource in yaml.safe_load_all(path.read_text())]


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in resources() if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize("version", ["1.33", "1.37"])
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_the_schemas_allow_it(path: Path, version: str) -> None:
    for resource in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(resource, version, strict=True)


def test_every_manifest_and_file_is_in_the_kustomization() -> None:
    beside = {"prometheus-adapter.yaml"}
    written = {f"kubernetes/{path.name}" for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    assert set(KUSTOMIZATION["resources"]) == {each for each in written if Path(each).name not in beside}
    for generator in KUSTOMIZATION["configMapGenerator"]:
        assert all((DEPLOY / file).is_file() for file in generator["files"])


def test_the_probes_ask_services_that_the_bridge_has() -> None:
    (bridge,) = one("Deployment", "pair")["spec"]["template"]["spec"]["containers"]
    assert bridge["readinessProbe"]["grpc"] == {"port": 50051, "service": IMAGE_SERVICE}
    assert bridge["livenessProbe"]["grpc"] == {"port": 50051, "service": BRIDGE_SERVICE}


def test_the_bridge_drains_within_the_pods_grace_and_before_triton_stops() -> None:
    pod = one("Deployment", "pair")["spec"]["template"]["spec"]
    (bridge,), (triton,) = pod["containers"], pod["initContainers"]
    settings = {each["name"]: each["value"] for each in bridge["env"]}
    assert settings.keys() <= {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    pause = bridge["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + float(settings["STARWEAVE_DRAIN_GRACE"]) + 30
    assert triton["restartPolicy"] == "Always"


def test_selectors_and_names_belong_together() -> None:
    pair = one("Deployment", "pair")
    labels = pair["spec"]["template"]["metadata"]["labels"]
    assert pair["spec"]["selector"]["matchLabels"] == one("Service", "bridges")["spec"]["selector"] == labels
    envoy = yaml.safe_load((DEPLOY / "envoy" / "envoy.yaml").read_text())
    (cluster,) = [each for each in envoy["static_resources"]["clusters"] if each["type"] == "STRICT_DNS"]
    (locality,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = locality["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"]["address"] == "bridges"


def test_pairs_are_added_by_a_metric_that_is_recorded_and_adapted() -> None:
    scaler = one("HorizontalPodAutoscaler", "pair")["spec"]
    name = scaler["metrics"][0]["external"]["metric"]["name"]
    (rule,) = yaml.safe_load((DEPLOY / "kubernetes" / "prometheus-adapter.yaml").read_text())["rules"]["external"]
    assert rule["name"]["as"] == name
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())["groups"]
    assert rule["seriesQuery"] in [each.get("record") for group in groups for each in group["rules"]]
