"""How much a benchmark run measures."""

from __future__ import annotations

from dataclasses import dataclass

SATURATED_CLIENTS = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts of one run.

    Every trial measures the limit, the server and the baseline one after the other, so that a change of the machine's
    speed meets them all. `clients` are those of the closed loops; `pictures_per_client` and `fewest_pictures` say how
    long they go on.
    """

    trials: int
    limit_seconds: float
    batches: tuple[int, ...]
    clients: tuple[int, ...]
    pictures_per_client: int
    fewest_pictures: int
    poisson_loads: tuple[float, ...]
    poisson_pictures: int
    mixed_pictures: int
    mixed_trials: int
    simulated_pictures: int
    simulated_trials: int

    def closed_loop_pictures(self, clients: int) -> int:
        """How many pictures a closed loop makes."""
        return max(self.fewest_pictures, self.pictures_per_client * clients)


FULL = Plan(
    trials=3,
    limit_seconds=8,
    batches=(1, 2, 4, 8),
    clients=(1, 4, SATURATED_CLIENTS, 64),
    pictures_per_client=2,
    fewest_pictures=8,
    poisson_loads=(0.5, 0.8, 0.95),
    poisson_pictures=48,
    mixed_pictures=100,
    mixed_trials=2,
    simulated_pictures=1000,
    simulated_trials=5,
)
QUICK = Plan(
    trials=2,
    limit_seconds=5,
    batches=(2, 4, 8),
    clients=(1, SATURATED_CLIENTS),
    pictures_per_client=2,
    fewest_pictures=4,
    poisson_loads=(0.8,),
    poisson_pictures=24,
    mixed_pictures=40,
    mixed_trials=1,
    simulated_pictures=400,
    simulated_trials=2,
)
