"""How much a benchmark run measures."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts of one run.

    Every trial measures the limit, the server and the baseline one after the other, so that a change of the machine's
    speed meets them all. `step_runs` is how often a single UNet step is timed. `clients` are those of the closed loops,
    `saturated` the one of them that throughputs are compared at; a loop makes `pictures_per_client` for each, at least
    `fewest_pictures` and at most `most_pictures`. `baseline_choices` is how many worker and thread counts the baseline
    is tried with. `decode_seconds` is how long each arrangement of the VAE decoder works beside the denoising; 0 leaves
    that out.
    """

    trials: int
    step_runs: int
    limit_seconds: float
    batches: tuple[int, ...]
    decode_seconds: float
    clients: tuple[int, ...]
    saturated: int
    pictures_per_client: int
    fewest_pictures: int
    most_pictures: int
    baseline_choices: int
    poisson_loads: tuple[float, ...]
    poisson_pictures: int
    mixed_pictures: int
    mixed_trials: int
    simulated_pictures: int
    simulated_trials: int

    def closed_loop_pictures(self, clients: int) -> int:
        """How many pictures a closed loop makes."""
        return min(max(self.fewest_pictures, self.pictures_per_client * clients), self.most_pictures)

    def beside(self) -> Plan:
        """Less of it, for a family whose figures stand beside the main one's."""
        return replace(
            self, trials=min(self.trials, 2), clients=(1, self.saturated), decode_seconds=0, poisson_loads=()
        )


FULL = Plan(
    trials=3,
    step_runs=20,
    limit_seconds=8,
    batches=(2, 4, 8),
    decode_seconds=2,
    clients=(1, 4, 16, 64),
    saturated=16,
    pictures_per_client=3,
    fewest_pictures=8,
    most_pictures=96,
    baseline_choices=3,
    poisson_loads=(0.5, 0.8, 0.95),
    poisson_pictures=32,
    mixed_pictures=80,
    mixed_trials=2,
    simulated_pictures=800,
    simulated_trials=4,
)
QUICK = Plan(
    trials=2,
    step_runs=20,
    limit_seconds=5,
    batches=(2, 4),
    decode_seconds=0,
    clients=(1, 16),
    saturated=16,
    pictures_per_client=2,
    fewest_pictures=4,
    most_pictures=96,
    baseline_choices=3,
    poisson_loads=(0.8,),
    poisson_pictures=24,
    mixed_pictures=40,
    mixed_trials=1,
    simulated_pictures=400,
    simulated_trials=2,
)
