"""For all tests."""

import os

import pytest

from tests.rooms import RoomScheduling, starts_servers

# The Hub's client asks again and again where it has no network, for half a minute.
os.environ["HF_HUB_OFFLINE"] = "1"

import export as export  # what it does for torchvision must come before diffusers is imported


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the tests with servers come first: they take the longest, and another worker does the rest meanwhile."""
    items.sort(key=lambda item: not starts_servers(item.nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> RoomScheduling:
    """Workers, where `make test` has some, take whole rooms."""
    return RoomScheduling(config, log)
