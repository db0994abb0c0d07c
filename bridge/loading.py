"""Has Triton load and unload families, one at a time, and keeps what became of it."""

import asyncio
import logging
import time

from bridge.errors import BridgeError, ModelOutOfService, ModelUnavailable
from bridge.families import Family
from bridge.residency import Residency, State
from bridge.triton import Holdings, Triton

logger = logging.getLogger(__name__)

# What a user can do about a model that cannot be loaded.
ADVICE = "choose another model or try again later."

_QUERY_SECONDS = 30.0
# A family that could not be loaded is tried again after this time even if nothing has changed: memory may be free.
_RETRY_SECONDS = 30.0


class Loader:
    """The bridge is the only one that loads and unloads: Triton runs in explicit mode with only `catalog` loaded."""

    def __init__(self, triton: Triton) -> None:
        self._triton = triton
        self._door = asyncio.Lock()
        self._failures: dict[str, tuple[str, float]] = {}

    def has_failed(self, family: Family) -> bool:
        """Tells whether these very files could not be loaded a short while ago."""
        fingerprint, failed_at = self._failures.get(family.name, ("", 0.0))
        return fingerprint == family.fingerprint and time.monotonic() < failed_at + _RETRY_SECONDS

    async def load(self, residency: Residency) -> None:
        """Has Triton load a family.

        Raises ModelOutOfService where it cannot be loaded, and ModelUnavailable where Triton is not there.
        """
        async with self._door:
            residency.state = State.LOADING
            try:
                await self._take_over(residency, residency.family)
            except ModelUnavailable:
                residency.state = State.AVAILABLE
                raise
            except BridgeError as error:
                # What did load of the family would be in the way of others.
                await self._unload(residency.family)
                residency.state = State.FAILED
                raise self._failed(residency, residency.family, error) from error
            residency.state = State.LOADED
            residency.regain()

    async def reload(self, residency: Residency, family: Family) -> None:
        """Has Triton take over what has changed of a loaded family, which serves meanwhile, and as it was if it fails.

        Raises as `load`. Does nothing where the family has been unloaded meanwhile.
        """
        async with self._door:
            if residency.state is not State.LOADED:
                return
            try:
                await self._take_over(residency, family)
            except ModelUnavailable:
                raise
            except BridgeError as error:
                raise self._failed(residency, family, error) from error

    async def unload(self, residency: Residency) -> None:
        """Has Triton unload a family, once its requests have ended."""
        async with self._door:
            residency.state = State.AVAILABLE
            await self._unload(residency.family)
            residency.versions = {}

    async def _unload(self, family: Family) -> None:
        for ensemble in family.ensembles.values():
            try:
                await self._triton.unload(ensemble)
            except BridgeError as error:
                logger.error("The model %s could not be unloaded: %s", ensemble, error.for_log)

    async def _take_over(self, residency: Residency, family: Family) -> None:
        for ensemble in family.ensembles.values():
            await self._triton.load(ensemble)
        holdings = await self._triton.holdings(_QUERY_SECONDS)
        self._failures.pop(family.name, None)
        # Requests under way keep waiting on this object: the new version must not hide a later loss from them.
        residency.family, residency.versions = family, holdings.versions_of(family)
        residency.problem = _other_versions(family, holdings)
        logger.info("The model %s version %d is loaded.", family.name, family.version)
        if residency.problem:
            logger.error("The model %s: %s", family.name, residency.problem)

    def _failed(self, residency: Residency, family: Family, error: BridgeError) -> ModelOutOfService:
        """Notes why a family could not be loaded."""
        logger.error("The model %s version %d could not be loaded: %s", family.name, family.version, error.for_log)
        self._failures[family.name] = (family.fingerprint, time.monotonic())
        residency.problem = f"Version {family.version} could not be loaded: {_first_line(error.detail or str(error))}"
        return ModelOutOfService(f"The model {family.name} could not be loaded; {ADVICE}")


def _other_versions(family: Family, holdings: Holdings) -> str:
    """A sentence about a version of the family that lies in the repository and cannot be loaded."""
    for model in family.models:
        for version in family.versions:
            if reason := holdings.failures.get((model, version)):
                return f"Version {version} of {model} could not be loaded: {_first_line(reason)}"
    return ""


def _first_line(reason: str) -> str:
    """Without the stack of a Python model, which Triton puts behind it."""
    return reason.partition("\n")[0]
