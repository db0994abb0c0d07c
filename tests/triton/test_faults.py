"""The fault matrix, small: what happens to a supervised server under load. (Full: `make verify PARTS=faults`.)"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from benchmarks.faults.matrix import FAULTS, Fault, endure
from benchmarks.faults.server import SupervisedServer, demo_repository
from benchmarks.faults.small_disk import small_disk
from tests.deploy.programs import program

# A busy machine may need minutes to start Triton again: pictures wait for it here, and clients for them.
PATIENCE_SECONDS = 200
# It is started again in the same way as one whose model process is dead.
FULL_ONLY = {"kill -9 of Triton", "slow readers", "clock jumps"}
SMALL = [fault for fault in FAULTS.values() if fault.name not in FULL_ONLY]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SupervisedServer]:
    """A supervised server whose logs and caches lie on a small disk."""
    program("faketime")
    folder = tmp_path_factory.mktemp("faults")
    repository = demo_repository(folder)
    with ExitStack() as stack:
        try:
            mounted = stack.enter_context(small_disk(folder / "disk"))
        except subprocess.CalledProcessError:
            pytest.skip("mounting a small disk needs root")
        server = SupervisedServer(mounted, repository, {"STARWEAVE_RECOVERY_WAIT": str(PATIENCE_SECONDS)})
        stack.callback(server.stop)
        server.wait_until_ready()
        yield server


@pytest.mark.parametrize("fault", SMALL, ids=lambda fault: fault.name)
async def test_a_fault_is_survived(server: SupervisedServer, fault: Fault) -> None:
    """Nobody is left without an answer, nothing is left over; where a retry can save a picture, none is lost."""
    outcome = await endure(server, fault, fault.small, PATIENCE_SECONDS + 40)
    assert outcome.unanswered == 0
    assert outcome.leaks == ()
    assert outcome.lost == () or fault.loses
    assert all(failure.startswith("UNAVAILABLE: ") for failure in outcome.lost)
