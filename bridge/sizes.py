"""Which size a family makes a picture at, for the size that was asked for."""

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import product


class SizePolicy(StrEnum):
    """What happens to a size that a family cannot make."""

    FIT = "fit"
    EXACT = "exact"


# What a picture may be resized to, in pixels, where the policy is FIT: enough for STARWEAVE's 128 to 1024.
SMALLEST_FIT = 16
LARGEST_FIT = 2048


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True)
class SizeRange:
    """The sizes that a family can make: each side from `smallest` to `largest` in steps of `multiple` pixels."""

    smallest: int
    largest: int
    multiple: int
    policy: SizePolicy

    @property
    def allowed(self) -> tuple[int, int]:
        """The smallest and the largest side that a request may ask for."""
        if self.policy is SizePolicy.EXACT:
            return self.smallest, self.largest
        return min(SMALLEST_FIT, self.smallest), max(LARGEST_FIT, self.largest)

    def problem(self, name: str, side: int) -> str | None:
        """Says in a sentence why a request may not ask for this side, or None where it may."""
        low, high = self.allowed
        if self.policy is SizePolicy.EXACT:
            if low <= side <= high and side % self.multiple == 0:
                return None
            return f"{name} is {side}; it must be a multiple of {self.multiple} from {low} to {high}."
        if low <= side <= high:
            return None
        return f"{name} is {side}; it must be from {low} to {high}."

    def own_size(self, size: Size) -> Size:
        """The size of a picture that is made from one of this size and is asked for no size of its own.

        The size itself where a request may ask for it; otherwise scaled into the range.
        """
        if self.policy is SizePolicy.EXACT:
            return self.nearest(size)
        low, high = self.allowed
        scale = min(1.0, high / max(size.width, size.height))
        scale = max(scale, low / min(size.width, size.height))
        return Size(*(min(max(round(side * scale), low), high) for side in (size.width, size.height)))

    def nearest(self, wanted: Size) -> Size:
        """The size to generate for a wanted one: the closest aspect ratio, and among equals the closest area.

        A wanted size outside of the range is first scaled into it as a whole; only a ratio that the range does not
        hold is changed. The wanted size itself where the family can make it.
        """
        scale = min(1.0, self.largest / max(wanted.width, wanted.height))
        scale = max(scale, self.smallest / min(wanted.width, wanted.height))
        width, height = wanted.width * scale, wanted.height * scale
        return min(
            (Size(*sides) for sides in product(self._around(width), self._around(height))),
            key=lambda size: (
                round(abs(math.log(size.width / size.height) - math.log(width / height)), 9),
                abs(math.log(size.width * size.height) - math.log(width * height)),
            ),
        )

    def _around(self, side: float) -> set[int]:
        """The one or two sides of the range that are nearest to `side`."""
        first = math.ceil(self.smallest / self.multiple)
        last = self.largest // self.multiple
        steps = side / self.multiple
        return {min(max(step, first), last) * self.multiple for step in (math.floor(steps), math.ceil(steps))}
