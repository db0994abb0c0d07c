"""Kills a bridge again and again while pictures are made and deleted, and counts what its library has lost."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from bridge.library.blobs import BlobStore
from bridge.library.database import Database
from bridge.library.journal import Journal
from bridge.library.location import Location
from bridge.library.verification import Condition, Verification
from protos import image_library_pb2, image_library_pb2_grpc, starweave_pb2
from standalone.bridge import Bridge
from standalone.client import MODELS, SERVICE, Health, connect, health, image_service
from standalone.errors import StartFailed
from standalone.ports import LOOPBACK, free_port

_CLIENTS = 4
_START_SECONDS = 120.0
# Few enough that many pictures repeat others, whose bytes they share.
_SEEDS = 60
_DELETED_SHARE = 0.2
# A round ends this long after its first answers, at random.
_ROUND_SECONDS = (0.2, 1.5)
_FIRST_ANSWERS = 3


@dataclass(slots=True)
class Ledger:
    """What the clients know: the SHA-256 of every picture answered by its id, and the ids that they asked to delete."""

    answered: dict[str, str] = field(default_factory=dict)
    deleting: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class KillOutcome:
    """What was left after `kills`: pictures that are not there or not what was answered, and the library's condition
    before and after it was repaired.
    """

    kills: int
    answered: int
    deleted: int
    missing: tuple[str, ...]
    before: Condition
    after: Condition


def kill_loop(triton_url: str, folder: Path, kills: int, say: Callable[[str], None], seed: int = 0) -> KillOutcome:
    """Starts a bridge `kills` times on one library in `folder`, kills it under load, and looks at what is left."""
    rng = random.Random(seed)
    location = Location(folder / "library")
    bridge = Bridge(folder, LOOPBACK, free_port(17061), triton_url, library=location.folder)
    ledger = Ledger()
    try:
        for number in range(1, kills + 1):
            before = len(ledger.answered)
            _start(bridge)
            _load_until_killed(bridge, ledger, rng)
            say(f"kill {number} of {kills}: {len(ledger.answered) - before} pictures were answered before it")
        _start(bridge)
        missing = _missing(bridge, ledger)
    finally:
        bridge.stop()
    database, store = Database(location.database_url), BlobStore(location.blob_store)
    verification = Verification(database, store, Journal(location.journal))
    condition = verification.condition()
    verification.repair(condition)
    outcome = KillOutcome(
        kills, len(ledger.answered), len(ledger.deleting), missing, condition, verification.condition()
    )
    database.close()
    return outcome


def _start(bridge: Bridge) -> None:
    bridge.start()
    deadline = time.monotonic() + _START_SECONDS
    with connect(bridge.address) as channel:
        while not all(health(channel, service) is Health.SERVING for service in (SERVICE, MODELS)):
            if bridge.exit_status is not None or time.monotonic() > deadline:
                raise StartFailed(f"The bridge did not become ready:\n{bridge.log_tail(40)}")
            time.sleep(0.1)


def _load_until_killed(bridge: Bridge, ledger: Ledger, rng: random.Random) -> None:
    enough = threading.Semaphore(0)
    clients = [
        threading.Thread(target=_client, args=(bridge.address, ledger, random.Random(rng.random()), enough))
        for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    for _ in range(_FIRST_ANSWERS):
        enough.acquire(timeout=_START_SECONDS)
    time.sleep(rng.uniform(*_ROUND_SECONDS))
    bridge.kill()
    for client in clients:
        client.join()


def _client(address: str, ledger: Ledger, rng: random.Random, answered: threading.Semaphore) -> None:
    """Asks for pictures, and has some deleted, until the bridge is gone."""
    with connect(address) as channel:
        images, library = image_service(channel), image_library_pb2_grpc.ImageLibraryServiceStub(channel)
        while True:
            settings = starweave_pb2.ImageSettings(width=64, height=64, steps=1, seed=rng.randrange(_SEEDS))
            try:
                response = images.GenerateImage(starweave_pb2.ImageRequest(prompt="a red star", settings=settings))
                if response.error:
                    continue
                ledger.answered[response.request_id] = hashlib.sha256(response.image_data).hexdigest()
                answered.release()
                if rng.random() < _DELETED_SHARE:
                    ledger.deleting.add(response.request_id)
                    library.DeleteImage(image_library_pb2.DeleteImageRequest(id=response.request_id))
            except grpc.RpcError:
                return


def _missing(bridge: Bridge, ledger: Ledger) -> tuple[str, ...]:
    """The pictures that were answered, were not to be deleted, and are not in the library as they were."""
    missing = []
    with connect(bridge.address) as channel:
        library = image_library_pb2_grpc.ImageLibraryServiceStub(channel)
        for image_id, digest in ledger.answered.items():
            if image_id in ledger.deleting:
                continue
            try:
                image = library.GetImage(
                    image_library_pb2.GetImageRequest(id=image_id), timeout=60, wait_for_ready=True
                )
            except grpc.RpcError:
                missing.append(image_id)
                continue
            if hashlib.sha256(image.image_data).hexdigest() != digest:
                missing.append(image_id)
    return tuple(missing)
