"""What a UNet step costs by its rows, and the rows that are worth taking together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Two guided pictures: below that, nothing is batched at all.
FEWEST_ROWS = 4
_WORTH = 0.9


@dataclass(frozen=True, slots=True)
class StepCost:
    """A measured curve: `seconds[i]` is what a step of `rows[i]` rows takes at `pixels` latent pixels a row.

    `budget` is the bound on rows at that size. Cost and budget at other sizes follow the number of pixels; `limit`,
    where there is one, bounds the rows at every size.
    """

    pixels: int
    rows: tuple[int, ...]
    seconds: tuple[float, ...]
    budget: int
    limit: int | None = None

    @classmethod
    def from_curve(
        cls, pixels: int, curve: Mapping[int, float], max_rows: int | None = None, limit: int | None = None
    ) -> StepCost:
        """The cost of a measured curve from rows to seconds.

        The budget is `max_rows` where given, else the fewest rows with at least 90 % of the best rows per second, and
        never fewer than two guided pictures take.
        """
        rows = tuple(sorted(curve))
        best = max(each / curve[each] for each in rows)
        worth = next(each for each in rows if each / curve[each] >= _WORTH * best)
        seconds = tuple(curve[each] for each in rows)
        return cls(pixels, rows, seconds, max_rows or max(FEWEST_ROWS, worth), limit)

    def budget_at(self, pixels: int) -> int:
        """The bound on rows of one step at a size; a large picture's rows cost more, so that fewer fit."""
        rows = max(FEWEST_ROWS, self.budget * self.pixels // pixels)
        return rows if self.limit is None else min(rows, self.limit)

    def step_seconds(self, rows: int, pixels: int) -> float:
        """What a step takes: interpolated between the rows measured, in proportion outside them.

        A row of another size counts as the native rows that have its pixels: what fills the machine is the same.
        """
        native = rows * pixels / self.pixels
        if native <= self.rows[0]:
            return self.seconds[0] * native / self.rows[0]
        for index in range(1, len(self.rows)):
            if native <= self.rows[index]:
                before, after = self.rows[index - 1], self.rows[index]
                part = (native - before) / (after - before)
                return self.seconds[index - 1] * (1 - part) + self.seconds[index] * part
        return self.seconds[-1] * native / self.rows[-1]

    def row_seconds(self, pixels: int) -> float:
        """A row's share of a full step: the unit in which remaining work is counted."""
        rows = self.budget_at(pixels)
        return self.step_seconds(rows, pixels) / rows
