"""Whoever is not on this machine cannot reach Triton past the bridge."""

from __future__ import annotations

import psutil

from standalone.triton import Triton


def test_triton_listens_on_loopback_only(triton: Triton) -> None:
    listening = {
        connection.laddr
        for connection in psutil.Process(triton.pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.port for address in listening} == {triton.ports.http, triton.ports.grpc, triton.ports.metrics}
    # gRPC listens on IPv6 sockets that take IPv4 too.
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
