"""How tests are divided among pytest-xdist's workers: by room."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# The rooms whose tests start Triton: two would take each other's ports and cores.
_SERVERS = ("tests/backends/", "tests/standalone/", "tests/triton/")


def starts_servers(nodeid: str) -> bool:
    """Whether a test belongs to the rooms that start whole servers."""
    return nodeid.startswith(_SERVERS)


class RoomScheduling(LoadScopeScheduling):
    """A room's tests stay together on one worker, and so what they share; all that start servers count as one room."""

    def _split_scope(self, nodeid: str) -> str:
        return "servers" if starts_servers(nodeid) else nodeid.split("/")[1]
