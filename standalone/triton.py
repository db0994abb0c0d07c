"""Triton as a process: its command line, its environment, its start.

The stack, the tests against a real server and the benchmarks all start Triton here.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from standalone.backend_folder import lay_out
from standalone.errors import StartFailed
from standalone.installation import check_libraries, find_installation, python_library
from standalone.ports import LOOPBACK, free_port
from standalone.process import ChildProcess

# A generation that never ends must not keep Triton from stopping.
EXIT_TIMEOUT_SECONDS = 10
SHARED_MEMORY = Path("/dev/shm")
# For text embeddings: a prompt of SD 1.5 takes 236 KiB.
RESPONSE_CACHE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class TritonPorts:
    """The TCP ports that Triton listens on."""

    http: int
    grpc: int
    metrics: int

    @classmethod
    def free(cls, http: int = 8000, grpc: int = 8001, metrics: int = 8002) -> TritonPorts:
        """The given ports, each replaced by a free one where it is taken."""
        chosen_http = free_port(http)
        chosen_grpc = free_port(grpc, taken=frozenset({chosen_http}))
        chosen_metrics = free_port(metrics, taken=frozenset({chosen_http, chosen_grpc}))
        return cls(chosen_http, chosen_grpc, chosen_metrics)


class Triton:
    """A Triton in explicit mode on loopback; it can be started again after it has ended.

    Args:
        repository: the model repository.
        folder: where its backend folder and its log `triton.log` go; made if missing, not shared with another Triton.
        ports: what it listens on.
        load: models loaded at start; the bridge loads the others.

    `environment` is what its processes get, `shared_memory_prefix` what the names of their regions begin with.

    Raises:
        UnsupportedMachine: no Triton can run here.
    """

    def __init__(
        self, repository: Path, folder: Path, ports: TritonPorts, load: tuple[str, ...] = ("catalog",)
    ) -> None:
        self.ports = ports
        self._repository = repository.resolve()
        self._folder = folder.resolve()
        self._load = load
        self._installation = find_installation()
        self.shared_memory_prefix = f"starweave_{os.getpid()}_{ports.grpc}_"
        self._process: ChildProcess | None = None
        self._folder.mkdir(parents=True, exist_ok=True)
        self.environment = self._make_environment()
        lay_out(self._installation, self.backends)

    @property
    def program(self) -> Path:
        """The `tritonserver` that is started."""
        return self._installation.server

    @property
    def backends(self) -> Path:
        """The backend folder that it is given: Triton's own backends and this project's."""
        return self._folder / "backends"

    @property
    def grpc_url(self) -> str:
        """host:port of its KServe gRPC service."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        """Base URL of its HTTP service."""
        return f"http://{LOOPBACK}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        """URL of its Prometheus metrics."""
        return f"http://{LOOPBACK}:{self.ports.metrics}/metrics"

    @property
    def log(self) -> Path:
        """The file its output goes to."""
        return self._folder / "triton.log"

    @property
    def pid(self) -> int:
        """Process id of `tritonserver`. Raises psutil.NoSuchProcess where it does not run."""
        return self._running().command_pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs, else how it ended; 0 where it was stopped or never started."""
        return 0 if self._process is None else self._process.exit_status

    def start(self) -> None:
        """Starts the process; `is_ready` tells when it serves."""
        # One that somebody else killed was never stopped.
        self._remove_shared_memory()
        self._process = ChildProcess(
            self._command_line(),
            self.log,
            self.environment,
            self._folder,
            grace_seconds=EXIT_TIMEOUT_SECONDS + 5,
        )

    def is_ready(self) -> bool:
        """Whether it answers that it and its models are ready.

        Raises:
            StartFailed: it has ended instead; the message holds the end of its log.
        """
        process = self._running()
        if process.exit_status is not None:
            raise StartFailed(
                f"Triton ended with status {process.exit_status}; its log is {self.log}:\n{process.log_tail()}"
            )
        try:
            with urllib.request.urlopen(f"{self.http_url}/v2/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def wait_until_ready(self, seconds: float, pause: Callable[[float], object]) -> None:
        """Waits until it is ready; `pause(seconds)` is called between two looks and may raise to give up.

        Raises:
            StartFailed: it ended or needed longer than `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"Triton was not ready within {seconds:.0f} seconds; its log is {self.log}:\n{self.log_tail()}"
                )
            pause(0.1)

    def stop(self) -> None:
        """Stops it if it runs, and removes what a killed one leaves in shared memory."""
        if self._process is not None:
            self._process.stop()
        self._remove_shared_memory()

    def kill(self) -> None:
        """Ends it without waiting for its requests: for one whose model process is dead, since those never end."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def log_tail(self, lines: int = 15) -> str:
        """The newest lines of its log."""
        return self._running().log_tail(lines)

    def _remove_shared_memory(self) -> None:
        for region in SHARED_MEMORY.glob(f"{self.shared_memory_prefix}*"):
            region.unlink(missing_ok=True)

    def _running(self) -> ChildProcess:
        if self._process is None:
            raise StartFailed("Triton was not started.")
        return self._process

    def _command_line(self) -> list[str]:
        return [
            str(self._installation.server),
            f"--model-repository={self._repository}",
            f"--backend-directory={self.backends}",
            f"--cache-directory={self._installation.caches}",
            f"--cache-config=local,size={RESPONSE_CACHE_BYTES}",
            "--model-control-mode=explicit",
            *(f"--load-model={name}" for name in self._load),
            f"--http-address={LOOPBACK}",
            f"--http-port={self.ports.http}",
            f"--grpc-address={LOOPBACK}",
            f"--grpc-port={self.ports.grpc}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={self.ports.metrics}",
            f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
            # A model process may be slow to start on a busy machine; Triton's default is 30 seconds.
            "--backend-config=python,stub-timeout-seconds=120",
            f"--backend-config=python,shm-region-prefix-name={self.shared_memory_prefix}",
            *_trace_options(),
        ]

    def _make_environment(self) -> dict[str, str]:
        libraries = [str(self._installation.libraries)] if self._installation.libraries else []
        own_library = python_library()
        if own_library is not None:
            # Linked alone into a folder: its own may hold libraries that Triton must not pick up, such as a conda
            # environment's libstdc++.
            link_folder = self._folder / "libraries"
            link_folder.mkdir(exist_ok=True)
            link = link_folder / own_library.name
            link.unlink(missing_ok=True)
            link.symlink_to(own_library)
            libraries.insert(0, str(link_folder))
        inherited = os.environ.get("LD_LIBRARY_PATH")
        library_path = ":".join(libraries + ([inherited] if inherited else []))
        check_libraries(self._installation.stub, library_path)
        # The stub's embedded interpreter finds this environment's packages through the `python` that is first on PATH.
        path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
        return {**os.environ, "PATH": path, "LD_LIBRARY_PATH": library_path}


def _trace_options() -> list[str]:
    """Has Triton trace what the bridge traces, and send it where OpenTelemetry's environment variables say."""
    url = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    base = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if not url and not base:
        return []
    settings = {"mode": "opentelemetry", "level": "TIMESTAMPS", "rate": "0", "count": "-1"}
    return [
        *(f"--trace-config={name}={value}" for name, value in settings.items()),
        f"--trace-config=opentelemetry,url={url or f'{base}/v1/traces'}",
        "--trace-config=opentelemetry,resource=service.name=triton",
    ]
