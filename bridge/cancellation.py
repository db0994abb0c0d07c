"""Tells Triton to give up generations that nobody waits for any more."""

import asyncio
import logging

from bridge.errors import BridgeError, ModelNotLoaded
from bridge.observability.metrics import Metrics
from bridge.residency import Residency
from bridge.triton import Triton

logger = logging.getLogger(__name__)

_ATTEMPTS = 3
_SECONDS = 5.0


class Cancellations:
    """Sends cancel orders beside the request that is being given up, which may itself be cancelled meanwhile.

    Ending the call to Triton is not enough: an ensemble forwards that only between two steps (server#6739). The
    order reaches the engine also before the generation does: the engine remembers it.
    """

    def __init__(self, triton: Triton, metrics: Metrics) -> None:
        self._triton = triton
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, residency: Residency, request_id: str) -> None:
        """Starts cancelling a generation on every version that may hold it; returns at once."""
        self._metrics.cancels.labels(residency.family.name).inc()
        for version in residency.unet_versions:
            task = asyncio.create_task(self._cancel(residency.family.unet, version, request_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def sent(self) -> None:
        """Returns when no order is under way; each takes some seconds at most."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _cancel(self, unet: str, version: int, request_id: str) -> None:
        order = {"op": "cancel", "ids": [request_id]}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._triton.control(unet, version, order, _SECONDS)
                return
            except ModelNotLoaded:
                return
            except BridgeError as error:
                if attempt == _ATTEMPTS:
                    logger.warning(
                        "%s: the cancel did not reach %s version %d: %s", request_id, unet, version, error.for_log
                    )
