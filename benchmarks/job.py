"""One picture under way in a benchmark, seen by a scheduling policy."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_engine.lane import BatchKey

from benchmarks.loads import PIXELS_A_LATENT, PictureSettings
from benchmarks.served import ServedPicture

_TOKENS = 77


# Compared by identity: two jobs with equal settings are still two.
@dataclass(slots=True, eq=False)
class Job:
    """A picture with its times in seconds. It has what `diffusion_engine.lane.Schedulable` asks for.

    `alone` is what its steps take with nothing else on the machine; `rows_seen` counts the UNet rows of the steps it
    took part in, `arrival_step` the machine's steps before it arrived, `steps_waited` those from there to its first.
    """

    settings: PictureSettings
    key: BatchKey
    arrival: float
    evaluations_left: int
    alone: float
    arrival_step: int
    started: bool = False
    rows_seen: int = 0
    steps_waited: int = 0

    @classmethod
    def of(cls, settings: PictureSettings, arrival: float, alone: float, arrival_step: int) -> Job:
        """A job that has just arrived."""
        side = settings.size // PIXELS_A_LATENT
        return cls(settings, BatchKey(side, side, _TOKENS), arrival, settings.steps, alone, arrival_step)

    @property
    def rows(self) -> int:
        """UNet rows of one of its steps."""
        return self.settings.rows

    @property
    def priority(self) -> int:
        """All alike."""
        return 2

    def served(self, finished: float) -> ServedPicture:
        """What is left of it once its last step is done."""
        mean_rows = self.rows_seen / self.settings.steps
        return ServedPicture(self.arrival, finished, self.alone, mean_rows, self.steps_waited)
