"""Which family makes a picture: the one that was asked for, or one that stands in for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.catalog import Catalog
from bridge.errors import ModelUnavailable
from bridge.families import Capability, Family
from bridge.recovery.circuits import Circuits
from bridge.residency import Residency

# The chain of every model that has none of its own.
ANY_MODEL = "*"


class FallbackReason(StrEnum):
    """Why another family than the one asked for serves a picture."""

    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FamilyChoice:
    """The family that makes a picture; `reason` tells why it is not the one asked for, None where it is.

    `merit` says why it was taken where that was left to the server.
    """

    residency: Residency
    reason: FallbackReason | None
    merit: str = ""


def parse_chains(text: str) -> dict[str, tuple[str, ...]]:
    """Reads chains such as `sdxl=sd15,demo; *=demo`: the model asked for, then its stand-ins, best first.

    Raises ValueError, naming the part that is no chain.
    """
    chains = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        model, _, names = part.partition("=")
        stand_ins = tuple(name.strip() for name in names.split(",") if name.strip())
        if not model.strip() or not stand_ins:
            raise ValueError(f"{part!r} is no chain; write it as model=family,family")
        chains[model.strip().casefold()] = stand_ins
    return chains


class Fallback:
    """Goes through the chain of a model until a family is found that can be used now.

    Where a model has no chain, a family that is known but away is waited for or refused, never replaced; an unknown
    model is the catalog's to resolve.
    """

    def __init__(self, catalog: Catalog, circuits: Circuits, chains: Mapping[str, tuple[str, ...]]) -> None:
        self._catalog = catalog
        self._circuits = circuits
        self._chains = chains

    def choose(self, model: str, capability: Capability) -> FamilyChoice:
        """Finds a family for a client that asks for `model`, "" for any.

        Raises ModelUnavailable, told of the family that was asked for where there is one.
        """
        asked = self._known(model)
        stand_ins = [family for family in map(self._known, self._chain(model, asked)) if family is not None]
        away: ModelUnavailable | None = None
        if asked is not None:
            try:
                return FamilyChoice(self._resolve(asked.name, capability), None)
            except ModelUnavailable as error:
                away = error
        reason = self._reason(model, asked)
        for family in stand_ins:
            # One that lacks the capability could only refuse the request.
            if capability in family.ensembles and family is not asked:
                try:
                    return FamilyChoice(self._resolve(family.name, capability), reason)
                except ModelUnavailable:
                    continue
        if away is not None:
            raise away
        return FamilyChoice(self._resolve(model, capability), reason)

    def _resolve(self, model: str, capability: Capability) -> Residency:
        residency = self._catalog.resolve(model, capability, self._circuits.open)
        self._circuits.enter(residency.family.name)
        return residency

    def _known(self, model: str) -> Family | None:
        return next((family for family in self._catalog.families if model and family.answers_to(model)), None)

    def _chain(self, model: str, asked: Family | None) -> tuple[str, ...]:
        names = (model, ANY_MODEL) if asked is None else (model, asked.name, ANY_MODEL)
        return next((chain for name in names if (chain := self._chains.get(name.casefold()))), ())

    def _reason(self, model: str, asked: Family | None) -> FallbackReason | None:
        if not model:
            return None
        if asked is None:
            return FallbackReason.UNKNOWN
        has_failed = asked.name in self._circuits.open or self._catalog.residency(asked).is_lost
        return FallbackReason.FAILED if has_failed else FallbackReason.UNAVAILABLE
