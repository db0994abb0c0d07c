"""Which upscalers there are: models that enlarge pictures of any family, one for each factor."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import BridgeError, BrokenUpscaler, ModelUnavailable
from bridge.residency import Resident
from bridge.tiles import TileRule
from bridge.triton import Triton

logger = logging.getLogger(__name__)

# One that could not be loaded is tried again after this time even if nothing has changed: memory may be free.
_RETRY_SECONDS = 30.0
_FACTORS = range(2, 9)


@dataclass(frozen=True, slots=True)
class Upscaler:
    """A model that makes pictures `factor` times as wide and as high, tile by tile; `version` is the active one."""

    name: str
    version: int
    factor: int
    rule: TileRule
    fingerprint: str


def read_upscaler(entry: Mapping[str, Any]) -> Upscaler:
    """Makes an Upscaler of an entry of the catalog's `upscalers`.

    Raises BrokenUpscaler, naming the parameter that is absent or not what it should be.
    """
    name, parameters = str(entry["name"]), entry["parameters"]

    def integer(key: str) -> int:
        text = parameters.get(key, "")
        if not text.isdecimal() or int(text) == 0:
            raise BrokenUpscaler(
                f"The parameter `{key}` of the upscaler {name} is {text!r}; it must be a whole number above 0."
            )
        return int(text)

    factor = integer("upscale_factor")
    if factor not in _FACTORS:
        raise BrokenUpscaler(f"The parameter `upscale_factor` of the upscaler {name} is {factor}; it must be 2 to 8.")
    rule = TileRule(integer("smallest_tile"), integer("largest_tile"), integer("tile_multiple"), integer("reach"))
    if not rule.is_possible:
        raise BrokenUpscaler(
            f"The upscaler {name} takes tiles of {rule.smallest} to {rule.largest} pixels in steps of {rule.multiple}, "
            f"which a reach of {rule.reach} leaves no use of; export it again."
        )
    return Upscaler(name, int(entry["version"]), factor, rule, str(entry["fingerprint"]))


@dataclass(slots=True, eq=False)
class ResidentUpscaler(Resident):
    """An upscaler that Triton has loaded, with the versions that it holds."""

    upscaler: Upscaler
    versions: tuple[int, ...]

    @property
    def name(self) -> str:
        """The upscaler's name."""
        return self.upscaler.name

    @property
    def is_complete(self) -> bool:
        """Tells whether Triton holds the active version."""
        return self.upscaler.version in self.versions


class Upscalers:
    """The upscalers of one Triton."""

    def __init__(self, triton: Triton) -> None:
        self._triton = triton
        self._known: dict[str, Upscaler] = {}
        self._before: dict[str, Upscaler] = {}
        self._resident: dict[str, ResidentUpscaler] = {}
        self._failed: dict[str, tuple[str, float]] = {}

    @property
    def factors(self) -> tuple[int, ...]:
        """The factors of all upscalers of the repository, loaded or not, in order."""
        return tuple(sorted({upscaler.factor for upscaler in self._known.values()}))

    @property
    def residents(self) -> list[ResidentUpscaler]:
        """Those that Triton has loaded."""
        return list(self._resident.values())

    def resolve(self, factor: int) -> ResidentUpscaler:
        """The upscaler of a factor that is one of `factors`. Raises ModelUnavailable where it is not ready."""
        name = next(name for name, upscaler in self._known.items() if upscaler.factor == factor)
        resident = self._resident.get(name)
        if resident is None:
            reason = "could not be loaded" if name in self._failed else "is being loaded"
            raise ModelUnavailable(f"The upscaler {name} {reason}; try again later or leave upscale out.")
        if resident.is_lost:
            raise ModelUnavailable(
                f"The upscaler {name} has failed and is being started again; try again in a minute or leave upscale "
                "out."
            )
        return resident

    def learn(self, entries: Iterable[Mapping[str, Any]]) -> list[str]:
        """Takes over the catalog's `upscalers`. Returns sentences about those that are broken."""
        problems = []
        known = {}
        for entry in entries:
            try:
                upscaler = read_upscaler(entry)
                known[upscaler.name] = upscaler
            except BrokenUpscaler as error:
                problems.append(str(error))
        self._before, self._known = self._known, known
        return problems

    async def follow(self, ready: Mapping[str, tuple[int, ...]]) -> None:
        """Has Triton load what is new or has changed, and unload what is gone.

        `ready` are the versions of each model that Triton has loaded.
        """
        for name, upscaler in self._known.items():
            resident = self._resident.get(name)
            if resident is not None:
                resident.versions = ready.get(name, ())
            if resident is None or name not in ready:
                await self._load(upscaler)
            elif resident.upscaler != upscaler and self._before.get(name) == upscaler:
                # Several renames make an export: it is taken over once the repository has come to rest.
                await self._load(upscaler)
        for name in [name for name in self._resident if name not in self._known]:
            await self._unload(name)

    async def _load(self, upscaler: Upscaler) -> None:
        name = upscaler.name
        now = asyncio.get_running_loop().time()
        fingerprint, failed_at = self._failed.get(name, ("", 0.0))
        if fingerprint == upscaler.fingerprint and now < failed_at + _RETRY_SECONDS:
            return
        try:
            await self._triton.load(name)
        except BridgeError as error:
            self._failed[name] = (upscaler.fingerprint, now)
            logger.error("The upscaler %s version %d could not be loaded: %s", name, upscaler.version, error)
            return
        self._failed.pop(name, None)
        logger.info("The upscaler %s version %d is loaded.", name, upscaler.version)
        resident = self._resident.get(name)
        if resident is None:
            self._resident[name] = ResidentUpscaler(upscaler, (upscaler.version,))
        else:
            # Pictures under way wait on this object: the new version must not hide a later loss from them.
            resident.upscaler = upscaler

    async def _unload(self, name: str) -> None:
        del self._resident[name]
        try:
            await self._triton.unload(name)
        except BridgeError as error:
            logger.error("The upscaler %s could not be unloaded: %s", name, error)
            return
        logger.info("The upscaler %s is no longer in the repository; it is unloaded.", name)
