"""An experiment with templates: which users' prompts get which."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.prompts.preset import Preset


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to write prompts: with a template, or without any, which changes nothing.

    `weight` is how many of the users it gets, in proportion to those of the other arms.
    """

    name: str
    template: Preset | None
    weight: float


@dataclass(frozen=True, slots=True)
class Experiment:
    """Applies to requests of the style of that name, "" for those without one."""

    name: str
    style: str
    arms: Sequence[Arm]

    def arm_of(self, user_id: str) -> Arm:
        """The arm of a user, always the same while arms and weights are; independent of other experiments."""
        digest = hashlib.sha256(f"{self.name}\0{user_id}".encode()).digest()
        place = int.from_bytes(digest[:8]) / 2**64 * sum(arm.weight for arm in self.arms)
        for arm in self.arms:
            place -= arm.weight
            if place < 0:
                return arm
        return self.arms[-1]


@dataclass(frozen=True, slots=True)
class Exposure:
    """That a user's prompt was written by one arm of an experiment."""

    experiment: str
    arm: Arm

    def __str__(self) -> str:
        return f"{self.experiment}/{self.arm.name}"
