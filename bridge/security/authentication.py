"""Lets in only calls that carry a known API key."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from bridge.errors import Unauthenticated
from bridge.observability.metrics import Metrics
from bridge.security.api_keys import ApiKeys
from bridge.security.caller import api_key, metadata_value

# Whoever balances or supervises asks for health without a key.
_OPEN_SERVICE = "/grpc.health.v1.Health/"
_REFUSAL = Unauthenticated(
    "This server asks for an API key: send it as metadata, `authorization: Bearer KEY` or `x-api-key: KEY`."
)


class AuthenticationInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Refuses calls without a known key with a status, whatever their service; health stays open."""

    def __init__(self, keys: ApiKeys, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any]"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any]":
        """Looks at the key before anything else of the call is read."""
        if handler_call_details.method.startswith(_OPEN_SERVICE):
            return await continuation(handler_call_details)
        metadata = handler_call_details.invocation_metadata
        scheme, _, token = metadata_value(metadata, "authorization").partition(" ")
        key = token.strip() if scheme.casefold() == "bearer" else metadata_value(metadata, "x-api-key")
        name = self._keys.name_of(key)
        if name is None:
            self._metrics.unauthenticated.inc()
            return grpc.stream_stream_rpc_method_handler(_refuse)
        api_key.set(name)
        return await continuation(handler_call_details)


async def _refuse(requests: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
    await context.abort(_REFUSAL.code, str(_REFUSAL))
