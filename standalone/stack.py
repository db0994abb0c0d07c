"""Triton and the bridge together: one pair, started and stopped as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc

from protos import starweave_pb2
from standalone.bridge import PROJECT, Bridge
from standalone.client import MODELS, SERVICE, WITHOUT_LIBRARY, Health, connect, finished, health, image_service
from standalone.errors import StartFailed
from standalone.lock_file import LockFile
from standalone.ports import LOOPBACK, free_port
from standalone.status import Status
from standalone.triton import Triton, TritonPorts

READY_SECONDS = 300.0
FIRST_PICTURE_SECONDS = 300.0
PROBE_SECONDS = 0.25
# Of the bridge; Triton has its own.
METRICS_PORT = 9464
# Health checks in a row without an answer after which a bridge counts as hung.
SILENT_PROBES = 5

# Beside the stack's folder: logs may be deleted, pictures are to stay.
DEFAULT_LIBRARY = PROJECT / "out" / "library"

Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class StackSettings:
    """What a stack is started with.

    `folder` takes the logs and the backend folder; `host` and `port` are the bridge's. Ports that are taken are
    replaced by free ones. `library` is the folder of the image library, None for none; with `repeats`, equal requests
    are made once.
    """

    repository: Path = PROJECT / "model_repository"
    folder: Path = PROJECT / "out" / "standalone"
    host: str = LOOPBACK
    port: int = 50051
    library: Path | None = None
    repeats: bool = True


class Stack:
    """A pair of Triton and bridge.

    Raises:
        UnsupportedMachine: no Triton can run here.
        StackRunning: another stack uses the folder.
        StartFailed: there is no model repository.
    """

    def __init__(self, settings: StackSettings, status: Status) -> None:
        self._status = status
        self._silent_probes = 0
        if not (settings.repository / "catalog" / "config.pbtxt").is_file():
            raise StartFailed(f"There is no model repository with a `catalog` model at {settings.repository}.")
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._lock = LockFile(settings.folder / "lock")
        self.triton = Triton(settings.repository, settings.folder / "triton", TritonPorts.free())
        taken = frozenset({self.triton.ports.http, self.triton.ports.grpc, self.triton.ports.metrics})
        port = free_port(settings.port, settings.host, taken)
        if port != settings.port:
            status.warn(f"Port {settings.port} is taken: the bridge listens on {port}.")
        metrics_port = free_port(METRICS_PORT, LOOPBACK, taken | {port})
        self.bridge = Bridge(
            *(settings.folder, settings.host, port, self.triton.grpc_url),
            metrics_port=metrics_port,
            library=settings.library,
            repeats=settings.repeats,
        )
        self.triton.log.unlink(missing_ok=True)
        self.bridge.log.unlink(missing_ok=True)

    def start_missing(self, pause: Pause) -> None:
        """Starts what does not run and waits until a picture comes out of the bridge.

        `pause(seconds)` is called while waiting and may raise to give up.

        Raises:
            StartFailed: one of the two ended, was not ready in time, or the picture failed.
        """
        if self.triton.exit_status is not None:
            self._status.say(f"Triton starts on {self.triton.grpc_url}; its log is {self.triton.log}.")
            self.triton.start()
            self.triton.wait_until_ready(READY_SECONDS, pause)
        if self.bridge.exit_status is not None:
            self._status.say(
                f"The bridge starts on port {self.bridge.port}, its metrics on port {self.bridge.metrics_port}; "
                f"its log is {self.bridge.log}."
            )
            self.bridge.start()
        with connect(self.bridge.address) as channel:
            self._wait_for_models(channel, pause)
            self._make_first_picture(channel, pause)
        self._silent_probes = 0

    def failure(self, channel: grpc.Channel) -> str | None:
        """A sentence about what has failed, None where all is well. What hangs is killed, ready to be started again."""
        if self.triton.exit_status is not None:
            return f"Triton ended with status {self.triton.exit_status}."
        if self.bridge.exit_status is not None:
            return f"The bridge ended with status {self.bridge.exit_status}."
        models = health(channel, MODELS)
        self._silent_probes = self._silent_probes + 1 if models is Health.UNREACHABLE else 0
        if self._silent_probes >= SILENT_PROBES:
            self.bridge.kill()
            return "The bridge no longer answers."
        if models is Health.NOT_SERVING:
            # Triton never restarts a model process, and the requests that were in it never end.
            self.triton.kill()
            return "A model process of Triton has ended or no longer answers."
        return None

    def stop(self) -> None:
        """Stops the bridge, which finishes its pictures, then Triton; both within their grace times."""
        self.bridge.stop()
        self.triton.stop()

    def close(self) -> None:
        """Stops both and frees the folder."""
        self.stop()
        self._lock.close()

    def _wait_for_models(self, channel: grpc.Channel, pause: Pause) -> None:
        self._status.say("Models are loading.")
        deadline = time.monotonic() + READY_SECONDS
        while not all(health(channel, service) is Health.SERVING for service in (SERVICE, MODELS)):
            if self.triton.exit_status is not None:
                raise StartFailed(
                    f"Triton ended with status {self.triton.exit_status}; its log is {self.triton.log}:\n"
                    f"{self.triton.log_tail()}"
                )
            if self.bridge.exit_status is not None:
                raise StartFailed(
                    f"The bridge ended with status {self.bridge.exit_status}; its log is {self.bridge.log}:\n"
                    f"{self.bridge.log_tail()}"
                )
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"No model was ready within {READY_SECONDS:.0f} seconds; the logs are {self.triton.log} and "
                    f"{self.bridge.log}:\n{self.bridge.log_tail()}"
                )
            pause(PROBE_SECONDS)

    def _make_first_picture(self, channel: grpc.Channel, pause: Pause) -> None:
        # No size: one that the family may not be able to make would be refused.
        request = starweave_pb2.ImageRequest(
            prompt="a test picture", settings=starweave_pb2.ImageSettings(steps=1, guidance_scale=1, seed=0)
        )
        began = time.monotonic()
        call = image_service(channel).GenerateImage.future(
            request, timeout=FIRST_PICTURE_SECONDS, metadata=WITHOUT_LIBRARY
        )
        try:
            response = finished(call, pause)
        except grpc.RpcError as error:
            raise StartFailed(
                f"The first picture failed: {error.details()}; the bridge's log is {self.bridge.log}."
            ) from error
        if response.error:
            raise StartFailed(f"The first picture failed: {response.error} The bridge's log is {self.bridge.log}.")
        self._status.say(f"The first picture took {time.monotonic() - began:.1f} s; ready on port {self.bridge.port}.")
