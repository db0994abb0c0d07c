"""docker-compose.yml without Docker: every service as a process of this machine, by the entry point that its image has.

What a container has around it is put in place of it: mounted and copied files by where they come from, names of
services by loopback, ports by free ones. Nothing else of a command is changed but Triton's backend folder, which
NVIDIA's image has in a fixed place and this project's environment has not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

from standalone.ports import LOOPBACK, free_port
from standalone.process import ChildProcess
from standalone.triton import Triton, TritonPorts
from tests.deploy.compose import PROJECT, resolve
from tests.deploy.programs import program

# What the images that are not built here run, before the command that Compose gives them.
ENTRY_POINTS = {"envoy": ["envoy"], "redis": [], "prometheus": ["prometheus"]}
GRACE_SECONDS = 20.0


class ProductionStack:
    """The services of the profile `cpu`, started one by one.

    Args:
        folder: takes volumes, rewritten configurations and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, ChildProcess] = {}
        self._services: dict[str, dict[str, Any]] = resolve("cpu")["services"]
        self._ports: dict[str, int] = {}
        self._tritons: dict[str, Triton] = {}

    def port(self, name: str, written: int) -> int:
        """The port here that stands for a service's port as it is written."""
        key = f"{name}:{written}"
        if key not in self._ports:
            self._ports[key] = free_port(written + 10000, taken=frozenset(self._ports.values()))
        return self._ports[key]

    def start(self, name: str) -> None:
        """Starts a service, again where it has ended."""
        command = [*self._entry_point(name), *self._command(name)]
        environment, more = self._surroundings(name)
        paths = self._paths(name)
        made = [self._replaced(part, paths, name) for part in command]
        if name in self.processes:
            self.processes[name].stop()
        self.processes[name] = ChildProcess(
            [*made, *more], self.folder / f"{name}.log", environment, self.folder, GRACE_SECONDS
        )

    def is_healthy(self, name: str) -> bool:
        """Runs the health check of a service as it is written."""
        service = self._services[name]
        check = (
            service["healthcheck"]["test"][1:] if "healthcheck" in service else self._dockerfile(name)["HEALTHCHECK"]
        )
        made = [self._replaced(part, self._paths(name), name) for part in check]
        if name.startswith("triton"):
            made.append(f"http://{LOOPBACK}:{self.port(name, 8000)}")
        if name == "postgres":
            made += [f"--host={self.folder / 'postgres'}", f"--port={self.port(name, 5432)}", "--dbname=starweave"]
        if name == "redis":
            made[1:1] = ["-p", str(self.port(name, 6379))]
        environment, _ = self._surroundings(name)
        made[0] = self._program(made[0])
        run = subprocess.run(made, env=environment, capture_output=True, timeout=60, check=False)
        return run.returncode == 0

    def stop(self) -> None:
        """Stops everything, the last started first."""
        for process in reversed(self.processes.values()):
            process.stop()
        for triton in self._tritons.values():
            triton.stop()

    def _entry_point(self, name: str) -> Sequence[str]:
        if name == "postgres":
            return self._postgres()
        if "build" in self._services[name]:
            found: list[str] = self._dockerfile(name)["ENTRYPOINT"]
        else:
            found = ENTRY_POINTS[name]
        return found

    def _command(self, name: str) -> Sequence[str]:
        service = self._services[name]
        command: list[str] = service.get("command") or []
        return command

    def _dockerfile(self, name: str) -> dict[str, list[str]]:
        """The last ENTRYPOINT and HEALTHCHECK of a service's Dockerfile."""
        path = PROJECT / self._services[name]["build"]["dockerfile"]
        found = {}
        # It would write a file of its own into the folder of a Dockerfile that it is given by path.
        with path.open("rb") as opened, tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "Dockerfile"
            copy.write_bytes(opened.read())
            for instruction in DockerfileParser(str(copy)).structure:
                form = re.search(r"\[.*\]", instruction["value"])
                if instruction["instruction"] in ("ENTRYPOINT", "HEALTHCHECK") and form:
                    found[instruction["instruction"]] = yaml.safe_load(form[0])
        return found

    def _paths(self, name: str) -> dict[str, str]:
        """What lies where in the container, and where here; the longest paths first."""
        paths = {}
        for mount in self._services[name].get("volumes", []):
            source = mount["source"] if mount["type"] == "bind" else str(self.folder / mount["source"])
            Path(source).mkdir(parents=True, exist_ok=True) if mount["type"] == "volume" else None
            paths[mount["target"]] = source
        if "build" in self._services[name]:
            dockerfile = (PROJECT / self._services[name]["build"]["dockerfile"]).read_text()
            for *sources, target in (line.split() for line in re.findall(r"^COPY (.*)$", dockerfile, re.MULTILINE)):
                paths |= {
                    f"{target}{Path(source).name}": str(PROJECT / source) for source in sources if target[-1] == "/"
                }
        if name == "prometheus":
            paths["/etc/prometheus"] = str(self._prometheus_configuration())
        if name == "envoy":
            paths["/etc/envoy/envoy.yaml"] = str(self._envoy_configuration())
        return dict(sorted(paths.items(), key=lambda item: -len(item[0])))

    def _replaced(self, part: str, paths: Mapping[str, str], name: str) -> str:
        if paths:
            there = "|".join(re.escape(path) for path in paths)
            part = re.sub(rf"(?<![^=])({there})(?=/|$)", lambda found: paths[found[1]], part)
        # Addresses of the service itself, in its own health check.
        return re.sub(
            r"(localhost:|127\.0\.0\.1/)(\d+)", lambda found: f"{found[1]}{self.port(name, int(found[2]))}", part
        )

    def _surroundings(self, name: str) -> tuple[dict[str, str], list[str]]:
        """The environment of a service, and what its command needs outside of its image."""
        own_bin = Path(sys.executable).parent
        environment = {"PATH": f"{own_bin}:{os.environ['PATH']}:/usr/lib/postgresql/15/bin", "HOME": str(self.folder)}
        more: list[str] = []
        if name.startswith("triton"):
            ports = TritonPorts(*(self.port(name, written) for written in (8000, 8001, 8002)))
            if name not in self._tritons:
                self._tritons[name] = Triton(PROJECT / "model_repository", self.folder / name, ports)
            triton = self._tritons[name]
            environment = dict(triton.environment)
            environment["PATH"] = f"{own_bin}:{triton.program.parent}:{environment['PATH']}"
            more = [
                f"--backend-directory={triton.backends}",
                f"--cache-directory={triton.program.parent.parent / 'caches'}",
                f"--backend-config=python,shm-region-prefix-name={triton.shared_memory_prefix}",
                *(f"--{kind}-port={getattr(ports, kind)}" for kind in ("http", "grpc", "metrics")),
                *(f"--{kind}-address={LOOPBACK}" for kind in ("http", "grpc", "metrics")),
            ]
        if name.startswith("bridge"):
            pair, paths = name.removeprefix("bridge-"), self._paths(name)
            environment |= self._services[name]["environment"]
            environment |= {
                "PYTHONPATH": str(PROJECT),
                "STARWEAVE_TRITON_URL": f"{LOOPBACK}:{self.port(f'triton-{pair}', 8001)}",
                "STARWEAVE_LIMITS_URL": f"redis://{LOOPBACK}:{self.port('redis', 6379)}/0",
                "STARWEAVE_LIBRARY": paths["/var/lib/starweave/library"],
                "STARWEAVE_LIBRARY_BLOBS": paths["/var/lib/starweave/blobs"],
                "STARWEAVE_LIBRARY_DATABASE": "postgresql://starweave@/starweave"
                f"?host={self.folder / 'postgres'}&port={self.port('postgres', 5432)}",
                # A busy machine may need minutes to start Triton again.
                "STARWEAVE_RECOVERY_WAIT": "240",
                "STARWEAVE_HOST": LOOPBACK,
                "STARWEAVE_PORT": str(self.port(name, 50051)),
                "STARWEAVE_METRICS_HOST": LOOPBACK,
                "STARWEAVE_METRICS_PORT": str(self.port(name, 9464)),
            }
        if name == "redis":
            more = ["--port", str(self.port(name, 6379)), "--bind", LOOPBACK]
        if name == "prometheus":
            more = [f"--web.listen-address={LOOPBACK}:{self.port(name, 9090)}"]
        return environment, more

    def _postgres(self) -> list[str]:
        """What the image's entry point does: makes the database once, then runs the server, not as root."""
        folder, settings = self.folder / "postgres", self._services["postgres"]["environment"]
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, "postgres")
        as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(
            [*as_postgres, program("initdb"), "-D", folder / "data", f"--username={settings['POSTGRES_USER']}"],
            check=True,
            capture_output=True,
        )
        with (folder / "data" / "pg_hba.conf").open("w") as rules:
            rules.write("local all all trust\n")
        database = subprocess.run(
            [*as_postgres, program("postgres"), "--single", "-D", folder / "data", "postgres"],
            input=f"CREATE DATABASE {settings['POSTGRES_DB']}\n".encode(),
            check=True,
            capture_output=True,
        )
        assert b"ERROR" not in database.stderr, database.stderr
        port = str(self.port("postgres", 5432))
        return [*as_postgres, program("postgres"), "-D", str(folder / "data"), "-k", str(folder), "-p", port, "-h", ""]

    def _envoy_configuration(self) -> Path:
        text = (PROJECT / "deploy" / "envoy" / "envoy.yaml").read_text()
        config = yaml.safe_load(text)
        ours = config["static_resources"]
        for listener, written in zip(ours["listeners"], (50051, 9902), strict=True):
            listener["address"]["socket_address"] = {"address": LOOPBACK, "port_value": self.port("envoy", written)}
        admin = {"address": LOOPBACK, "port_value": self.port("envoy", 9901)}
        config["admin"]["address"]["socket_address"] = admin
        for cluster in ours["clusters"]:
            bridges = [self.port(name, 50051) for name in self._services if name.startswith("bridge")]
            ports = [admin["port_value"]] if cluster["name"] == "admin" else bridges
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [
                {"endpoint": {"address": {"socket_address": {"address": LOOPBACK, "port_value": port}}}}
                for port in ports
            ]
        path = self.folder / "envoy.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def _prometheus_configuration(self) -> Path:
        """Scrapes and evaluates every second: a test does not wait ten."""
        folder = self.folder / "prometheus-configuration"
        shutil.copytree(PROJECT / "deploy" / "prometheus", folder, dirs_exist_ok=True)
        path = folder / "prometheus.yaml"
        config = yaml.safe_load(path.read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            for group in job["static_configs"]:
                targets = (target.split(":") for target in group["targets"])
                group["targets"] = [f"{LOOPBACK}:{self.port(name, int(written))}" for name, written in targets]
        path.write_text(yaml.safe_dump(config))
        return folder

    @staticmethod
    def _program(name: str) -> str:
        ours = Path(sys.executable).parent / name
        return str(ours) if ours.exists() else program(name)
