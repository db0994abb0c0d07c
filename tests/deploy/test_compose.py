"""docker-compose.yml: whole, closed to the outside, and in step with the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.settings import ENVIRONMENT_PREFIX, Settings
from tests.deploy.compose import PROJECT, ComposeRefused, resolve


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def services(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    """The services of a profile."""
    found: dict[str, dict[str, Any]] = resolve(request.param)["services"]
    return found


def pairs(services: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, service) for name, service in services.items() if name.startswith("triton")]


def test_every_profile_has_the_whole_stack(services: dict[str, dict[str, Any]]) -> None:
    shared = {"envoy", "postgres", "redis", "prometheus", "grafana"}
    assert shared <= services.keys()
    assert len(pairs(services)) == len([name for name in services if name.startswith("bridge")]) == 2


def test_passwords_must_be_set() -> None:
    with pytest.raises(ComposeRefused, match="STARWEAVE_GRAFANA_PASSWORD is missing a value: set it in"):
        resolve("cpu", STARWEAVE_DB_PASSWORD="x")


def test_everything_is_watched_and_started_again(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["restart"] == "always", name
        # Those that are built have theirs in the Dockerfile.
        assert "healthcheck" in service or "build" in service, name


def test_only_envoy_and_grafana_are_reachable_and_from_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published.keys() == {"envoy", "grafana"}
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_grafana_finds_the_librarys_database(services: dict[str, dict[str, Any]]) -> None:
    folder = PROJECT / "deploy" / "grafana" / "provisioning" / "datasources"
    (source,) = yaml.safe_load((folder / "library.yaml").read_text())["datasources"]
    grafana, postgres = services["grafana"], services["postgres"]
    assert source["url"] == "postgres:5432" and "data" in grafana["networks"] and "data" in postgres["networks"]
    assert source["jsonData"]["database"] == postgres["environment"]["POSTGRES_DB"]
    # The password that the role is made with, by the script that is mounted.
    password = grafana["environment"][source["secureJsonData"]["password"].removeprefix("$")]
    assert password == postgres["environment"]["STARWEAVE_GRAFANA_PASSWORD"]
    scripts = {mount["target"]: mount["source"] for mount in postgres["volumes"]}["/docker-entrypoint-initdb.d"]
    assert f"CREATE ROLE {source['user']} " in (Path(scripts) / "grafana.sh").read_text()


def test_a_triton_is_reached_by_its_own_bridge_and_prometheus_only(services: dict[str, dict[str, Any]]) -> None:
    networks = resolve("cpu")["networks"]
    for name, triton in pairs(services):
        number = name.split("-")[1]
        assert triton["networks"].keys() == {f"pair-{number}", "metrics"}
        beside = [other for other, service in services.items() if f"pair-{number}" in service["networks"]]
        assert sorted(beside) == [f"bridge-{number}", name]
        assert networks[f"pair-{number}"]["internal"]


def test_the_backends_are_mounted_folder_by_folder(services: dict[str, dict[str, Any]]) -> None:
    """All of them but the stand-in for a native one, which NVIDIA's image has."""
    ours = {path.parent.name for path in (PROJECT / "backends").glob("*/model.py")} - {"onnxruntime"}
    for _, triton in pairs(services):
        mounts = {mount["target"]: mount for mount in triton["volumes"]}
        for backend in ours:
            mount = mounts[f"/opt/tritonserver/backends/{backend}"]
            assert Path(mount["source"]) == PROJECT / "backends" / backend and mount["read_only"]
        assert "/opt/tritonserver/backends" not in mounts
        assert int(triton["shm_size"]) >= 2**30


def test_a_bridge_is_given_time_to_drain_and_stopped_before_its_triton(services: dict[str, dict[str, Any]]) -> None:
    for name, bridge in services.items():
        if name.startswith("bridge"):
            drain = float(bridge["environment"]["STARWEAVE_DRAIN_GRACE"])
            assert float(bridge["stop_grace_period"].removesuffix("s")) > drain + 10
            assert any(other.startswith("triton") for other in bridge["depends_on"])


def test_the_bridges_settings_exist(services: dict[str, dict[str, Any]]) -> None:
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, service in services.items():
        if name.startswith("bridge"):
            assert service["environment"].keys() <= known


def test_a_gpu_is_asked_for_where_there_is_one() -> None:
    for name, triton in pairs(resolve("gpu")["services"]):
        (device,) = triton["deploy"]["resources"]["reservations"]["devices"]
        assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"]), name
        assert triton["build"]["args"]["ONNXRUNTIME"] == "onnxruntime-gpu"
