"""Ports that are taken are replaced."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from standalone.ports import LOOPBACK, free_port, is_free
from standalone.stack import Stack, StackSettings
from standalone.status import Status
from standalone.triton import TritonPorts


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_kept(taken: int) -> None:
    port = free_port(taken)
    assert free_port(port) == port


def test_a_taken_port_is_replaced_by_a_free_one(taken: int) -> None:
    assert not is_free(taken)
    port = free_port(taken)
    assert port != taken
    assert is_free(port)


def test_one_set_of_ports_never_holds_a_port_twice(taken: int) -> None:
    ports = TritonPorts.free(taken, taken, taken)
    free = free_port(taken)
    same_wish = TritonPorts.free(free, free, free)
    for chosen in (ports, same_wish):
        assert len({chosen.http, chosen.grpc, chosen.metrics, taken}) == 4


def test_a_stack_tells_which_port_it_took_instead(taken: int, tmp_path: Path) -> None:
    told = io.StringIO()
    stack = Stack(StackSettings(folder=tmp_path, port=taken), Status(Console(file=told, soft_wrap=True)))
    stack.close()
    assert stack.bridge.port != taken
    assert f"Port {taken} is taken: the bridge listens on {stack.bridge.port}." in told.getvalue()
