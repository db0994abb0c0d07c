"""A family and how Triton holds it, and what it has in common with anything else that Triton holds."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.errors import ModelUnavailable
from bridge.families import Family
from bridge.limits.backlog import Backlog


class State(StrEnum):
    """Where a family is on its way into Triton."""

    AVAILABLE = "available"
    LOADING = "loading"
    LOADED = "loaded"
    FAILED = "failed"


@dataclass(slots=True, eq=False, kw_only=True)
class Resident(ABC):
    """What Triton holds: a family or an upscaler.

    `lost` gets its result when a model process of it dies. Triton 24.10 never ends the requests that were in the
    process, so whoever waits for one of them waits for `lost` as well. It is a result, not an exception: most of the
    time nobody is there to retrieve it.
    """

    lost: asyncio.Future[ModelUnavailable] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    @abstractmethod
    def name(self) -> str:
        """What people call it by."""

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Tells whether Triton holds the active version of each of its models."""

    @property
    def is_lost(self) -> bool:
        """Tells whether a model process of it has died."""
        return self.lost.done()

    def lose(self, error: ModelUnavailable) -> None:
        """Fails everything that is under way on it."""
        if not self.lost.done():
            self.lost.set_result(error)

    def regain(self) -> None:
        """Takes requests again after all model processes have answered."""
        if self.lost.done():
            self.lost = asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Residency(Resident):
    """One family, as it was loaded or is to be loaded, with the versions of its models that Triton holds.

    `problem` is a sentence about what could not be loaded: the family, or another version than the one that makes the
    pictures. `uses` counts the pictures that it makes, `last_used` is the time (monotonic) when the last one ended.
    """

    family: Family
    versions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    state: State = State.AVAILABLE
    problem: str = ""
    uses: int = 0
    last_used: float = 0.0
    backlog: Backlog = field(default_factory=Backlog)

    @property
    def name(self) -> str:
        """The family's name."""
        return self.family.name

    @property
    def unet_versions(self) -> tuple[int, ...]:
        """Every version of the UNet that may hold a generation; the pinned one even while it is being reloaded."""
        return tuple({self.family.version, *self.versions.get(self.family.unet, ())})

    @property
    def is_complete(self) -> bool:
        """Tells whether Triton holds the pinned version of each model."""
        return all(self.family.version in self.versions.get(model, ()) for model in self.family.models)
