"""On whose behalf a picture is made."""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc

# The name of the API key that a call came with; "" where keys are not asked for. Set by AuthenticationInterceptor.
api_key: ContextVar[str] = ContextVar("api_key", default="")


@dataclass(frozen=True, slots=True)
class Caller:
    """The name of the API key ("" for none) and the user, who is only known by what the client says."""

    key: str
    user: str

    @property
    def share(self) -> str:
        """What a user's pictures are counted under: users of different keys are different users."""
        return f"{self.key}/{self.user}"


def caller_of(user_id: str, context: "grpc.aio.ServicerContext[Any, Any]") -> Caller:
    """The caller of the current call; one that names no user is known by its address."""
    return Caller(api_key.get(), user_id or _host(context.peer()))


def metadata_value(metadata: Iterable[tuple[str, Any]] | None, key: str) -> str:
    """The first value of a metadata key, "" where there is none."""
    return next((str(value) for name, value in metadata or () if name == key), "")


def _host(peer: str) -> str:
    # "ipv4:127.0.0.1:5000", "ipv6:%5B::1%5D:5000" or "unix:"
    return peer.rpartition(":")[0] or peer
