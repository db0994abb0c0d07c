"""How the commands show a guarded server who they are: by STARWEAVE_API_KEY and STARWEAVE_TLS_CA."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from standalone.errors import ServerUnreachable

API_KEY = "STARWEAVE_API_KEY"
TLS_AUTHORITY = "STARWEAVE_TLS_CA"


class _CallDetails(NamedTuple):
    """What gRPC reads of a call; its own class cannot be made with other metadata."""

    method: str
    timeout: float | None
    metadata: list[tuple[str, str]]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class _WithKey(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[type-arg]
    """Sends the API key with each call."""

    def __init__(self, key: str) -> None:
        self._metadata = ("authorization", f"Bearer {key}")

    def _details(self, call: Any) -> Any:
        metadata = [*(call.metadata or ()), self._metadata]
        return _CallDetails(
            call.method, call.timeout, metadata, call.credentials, call.wait_for_ready, call.compression
        )

    def intercept_unary_unary(self, continuation: Callable[..., Any], call: Any, request: Any) -> Any:
        """Adds the key to a call with one answer."""
        return continuation(self._details(call), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], call: Any, request: Any) -> Any:
        """Adds the key to a call with a stream of answers."""
        return continuation(self._details(call), request)


def open_channel(address: str, options: list[tuple[str, int]]) -> grpc.Channel:
    """A channel with TLS where STARWEAVE_TLS_CA names a PEM file, and with the key in STARWEAVE_API_KEY.

    Raises:
        ServerUnreachable: the file cannot be read.
    """
    authority, key = os.environ.get(TLS_AUTHORITY), os.environ.get(API_KEY)
    if authority:
        try:
            credentials = grpc.ssl_channel_credentials(Path(authority).read_bytes())
        except OSError as error:
            raise ServerUnreachable(f"{TLS_AUTHORITY} names a file that cannot be read: {error}") from error
        channel = grpc.secure_channel(address, credentials, options)
    else:
        channel = grpc.insecure_channel(address, options)
    return grpc.intercept_channel(channel, _WithKey(key)) if key else channel
