"""Which families there are: discovers them from Triton alone, and follows changes of the repository."""

import asyncio
import logging
from collections.abc import Container, Iterator, Sequence
from typing import Any

from bridge.errors import BridgeError, BrokenFamily, ModelOutOfService, ModelUnavailable
from bridge.families import Capability, Family, read_family
from bridge.loading import ADVICE, Loader
from bridge.residency import Residency, State
from bridge.residents import Residents
from bridge.triton import Holdings, Triton
from bridge.upscalers import Upscalers

logger = logging.getLogger(__name__)

# Reading a large repository on a busy machine takes this long at most.
_QUERY_SECONDS = 30.0


class Catalog:
    """The families of one Triton, loaded or not, and its upscalers.

    One family is always loaded: it stands in for models that are unknown.
    """

    def __init__(
        self, triton: Triton, loader: Loader, residents: Residents, interval: float, fallback_models: Sequence[str]
    ) -> None:
        self._triton = triton
        self.upscalers = Upscalers(triton)
        self._loader = loader
        self._residents = residents
        self._interval = interval
        self._fallback_models = fallback_models
        self._families: dict[str, Family] = {}
        self._residencies: dict[str, Residency] = {}
        self._problems: list[str] = []
        self._reachable = False

    @property
    def families(self) -> list[Family]:
        """All families of the repository, loaded or not."""
        return list(self._families.values())

    @property
    def residencies(self) -> list[Residency]:
        """The families that Triton has loaded."""
        return [residency for residency in self._residencies.values() if residency.state is State.LOADED]

    def residency(self, family: Family) -> Residency:
        """How Triton holds one of the `families`."""
        return self._residencies[family.name]

    def resolve(self, model: str, capability: Capability, shunned: Container[str] = ()) -> Residency:
        """The family that makes pictures for a client that asks for `model` (an id, name, alias or "").

        It may have to be loaded first. An unknown model falls back to the configured families, then to one that is
        loaded, then to any; families that offer the capability come before those that do not, and none whose name is
        in `shunned` stands in. Raises ModelUnavailable where the family is known but not to be had, or where no
        family is.
        """
        for family in self._families.values():
            if model and family.answers_to(model):
                return self._usable(self._residencies[family.name])
        usable = [
            residency
            for residency in self._stand_ins()
            if not residency.is_lost
            and residency.family.name not in shunned
            and (residency.state is State.LOADED or not self._loader.has_failed(residency.family))
        ]
        if not usable:
            raise ModelUnavailable("No model is ready at the moment; try again in a few seconds.")
        return next((residency for residency in usable if capability in residency.family.ensembles), usable[0])

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
        """Reads the catalog and has Triton take over what has changed. Raises BridgeError without an answer."""
        answer = await self._triton.catalog(_QUERY_SECONDS)
        before = self._families
        families = {family.name: family for family in self._read_families(answer)}
        for name, family in families.items():
            residency = self._residencies.setdefault(name, Residency(family))
            if residency.state in (State.AVAILABLE, State.FAILED):
                residency.family = family
        self._families = families
        holdings = await self._triton.holdings(_QUERY_SECONDS)
        for residency in list(self._residencies.values()):
            if residency.family.name not in families:
                del self._residencies[residency.family.name]
                await self._residents.dismiss(residency)
            elif residency.state is State.LOADED:
                await self._follow(residency, before, holdings)
            elif not before and residency.state is State.AVAILABLE and residency.family.is_in(holdings.ready):
                # Loaded for a bridge that was here before this one.
                await self._bring_in(residency)
        if self._residents.is_empty:
            await self._load_first()
        await self.upscalers.follow(holdings.ready)

    async def _follow(self, residency: Residency, before: dict[str, Family], holdings: Holdings) -> None:
        """Has Triton take over what has changed of a family that is loaded."""
        family = self._families[residency.family.name]
        residency.versions = holdings.versions_of(residency.family)
        # An export or activation renames several folders in a row; the load waits until it has come to rest.
        has_changed = residency.family.fingerprint != family.fingerprint and before.get(family.name) == family
        # Triton was started again: loading takes over what has changed meanwhile, too.
        is_gone = not family.is_in(holdings.ready)
        if (has_changed or is_gone) and not self._loader.has_failed(family):
            try:
                await self._loader.reload(residency, family)
            except ModelOutOfService:
                # Its `problem` tells.
                return

    async def _load_first(self) -> None:
        first = next((each for each in self._stand_ins() if not self._loader.has_failed(each.family)), None)
        if first is not None:
            await self._bring_in(first)

    async def _bring_in(self, residency: Residency) -> None:
        try:
            await self._residents.bring_in(residency)
        except ModelOutOfService:
            # Its `problem` tells; the next look takes another family.
            return

    def _stand_ins(self) -> Iterator[Residency]:
        """The families that stand in for an unknown model, best first."""
        configured = [self._residencies[name] for name in self._fallback_models if name in self._residencies]
        yield from configured
        others = [residency for residency in self._residencies.values() if residency not in configured]
        yield from sorted(others, key=lambda residency: residency.state is not State.LOADED)

    def _usable(self, residency: Residency) -> Residency:
        name = residency.family.name
        if residency.is_lost:
            raise ModelUnavailable(f"The model {name} has failed and is being started again; try again in a minute.")
        if residency.state is State.FAILED and self._loader.has_failed(residency.family):
            raise ModelOutOfService(f"The model {name} could not be loaded; {ADVICE}")
        return residency

    def _read_families(self, answer: dict[str, Any]) -> list[Family]:
        families = []
        problems = [*answer["problems"], *self.upscalers.learn(answer["upscalers"])]
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
