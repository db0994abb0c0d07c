"""Which families there are: discovers them from Triton alone, loads them and follows changes of the repository."""

import asyncio
import logging
from collections.abc import Container, Sequence
from typing import Any

from bridge.errors import BridgeError, BrokenFamily, ModelOutOfService, ModelUnavailable
from bridge.families import Capability, Family, read_family
from bridge.residency import Residency
from bridge.triton import Triton

logger = logging.getLogger(__name__)

# Reading a large repository on a busy machine takes this long at most.
_QUERY_SECONDS = 30.0
# A family that could not be loaded is tried again after this time even if nothing has changed: memory may be free.
_RETRY_SECONDS = 30.0


class Catalog:
    """The families of one Triton.

    The bridge is the only one that loads and unloads: Triton runs in explicit mode with only `catalog` loaded.
    """

    def __init__(self, triton: Triton, interval: float, fallback_models: Sequence[str]) -> None:
        self._triton = triton
        self._interval = interval
        self._fallback_models = fallback_models
        self._families: dict[str, Family] = {}
        self._residencies: dict[str, Residency] = {}
        self._failed: dict[str, tuple[str, float]] = {}
        self._problems: list[str] = []
        self._reachable = False

    @property
    def families(self) -> list[Family]:
        """All families of the repository, loaded or not."""
        return list(self._families.values())

    @property
    def residencies(self) -> list[Residency]:
        """The families that Triton has loaded."""
        return list(self._residencies.values())

    def residency(self, family: Family) -> Residency | None:
        """How Triton holds this family, or None where it does not."""
        return self._residencies.get(family.name)

    def resolve(self, model: str, capability: Capability, shunned: Container[str] = ()) -> Residency:
        """The family that makes pictures for a client that asks for `model` (an id, name, alias or "").

        An unknown model falls back to the configured families, then to the first that is ready; families that offer
        the capability come before those that do not, and none whose name is in `shunned` stands in. Raises
        ModelUnavailable where the family is known but not ready, or where no family is.
        """
        for family in self._families.values():
            if model and family.answers_to(model):
                return self._ready(family.name)
        candidates = [self._residencies.get(name) for name in (*self._fallback_models, *self._residencies)]
        ready = [
            residency
            for residency in candidates
            if residency is not None and not residency.is_lost and residency.family.name not in shunned
        ]
        if not ready:
            raise ModelUnavailable("No model is ready at the moment; try again in a few seconds.")
        return next((residency for residency in ready if capability in residency.family.ensembles), ready[0])

    async def run(self) -> None:
        """Follows the repository until it is cancelled."""
        while True:
            try:
                await self.refresh()
                self._reachable = True
            except BridgeError as error:
                # Triton may be starting or being started again: said once, at the change.
                log = logger.warning if self._reachable else logger.debug
                log("The catalog cannot be read: %s", error.for_log)
                self._reachable = False
            await asyncio.sleep(self._interval)

    async def refresh(self) -> None:
        """Reads the catalog and has Triton load what is new or has changed. Raises BridgeError without an answer."""
        answer = await self._triton.catalog(_QUERY_SECONDS)
        before = self._families
        self._families = {family.name: family for family in self._read_families(answer)}
        ready = await self._triton.ready_versions(_QUERY_SECONDS)
        for family in self.families:
            residency = self._residencies.get(family.name)
            if residency is not None:
                residency.versions = _versions(residency.family, ready)
            if residency is None or not all(ensemble in ready for ensemble in family.ensembles.values()):
                # Not loaded, or loaded from files that are not known: loading again takes over what has changed.
                await self._load(family)
            elif residency.family.fingerprint != family.fingerprint:
                # An export or activation renames several folders in a row; the load waits until it has come to rest.
                if before.get(family.name) == family:
                    await self._load(family)
        for name in [name for name in self._residencies if name not in self._families]:
            await self._unload(self._residencies.pop(name).family)

    def _ready(self, name: str) -> Residency:
        residency = self._residencies.get(name)
        if residency is None:
            if name in self._failed:
                raise ModelOutOfService(
                    f"The model {name} could not be loaded; choose another model or try again later."
                )
            raise ModelUnavailable(f"The model {name} is being loaded; try again later or choose another model.")
        if residency.is_lost:
            raise ModelUnavailable(f"The model {name} has failed and is being started again; try again in a minute.")
        return residency

    def _read_families(self, answer: dict[str, Any]) -> list[Family]:
        families = []
        problems = list(answer["problems"])
        for entry in answer["families"]:
            try:
                families.append(read_family(entry))
            except BrokenFamily as error:
                problems.append(str(error))
        for problem in problems:
            if problem not in self._problems:
                logger.warning("Model repository: %s", problem)
        self._problems = problems
        return families

    async def _load(self, family: Family) -> None:
        now = asyncio.get_running_loop().time()
        fingerprint, failed_at = self._failed.get(family.name, ("", 0.0))
        if fingerprint == family.fingerprint and now < failed_at + _RETRY_SECONDS:
            return
        try:
            for ensemble in family.ensembles.values():
                await self._triton.load(ensemble)
            ready = await self._triton.ready_versions(_QUERY_SECONDS)
        except BridgeError as error:
            self._failed[family.name] = (family.fingerprint, now)
            logger.error("The model %s version %d could not be loaded: %s", family.name, family.version, error.for_log)
            return
        self._failed.pop(family.name, None)
        logger.info("The model %s version %d is loaded.", family.name, family.version)
        residency = self._residencies.get(family.name)
        if residency is None:
            self._residencies[family.name] = Residency(family, _versions(family, ready))
        else:
            # Requests under way keep waiting on this object: the new version must not hide a later loss from them.
            residency.family, residency.versions = family, _versions(family, ready)

    async def _unload(self, family: Family) -> None:
        for ensemble in family.ensembles.values():
            try:
                await self._triton.unload(ensemble)
            except BridgeError as error:
                logger.error("The model %s could not be unloaded: %s", ensemble, error.for_log)
                return
        logger.info("The model %s is no longer in the repository; it is unloaded.", family.name)


def _versions(family: Family, ready: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {model: ready.get(model, ()) for model in family.models}
