"""One picture under way in a benchmark, seen by a scheduling policy."""

from __future__ import annotations

from dataclasses import dataclass

from diffusion_engine.lane import BatchKey

from benchmarks.loads import PictureSettings

_PIXELS_A_LATENT = 8
_TOKENS = 77


# Compared by identity: two jobs with equal settings are still two.
@dataclass(slots=True, eq=False)
class Job:
    """A picture with its times in seconds; it has what `diffusion_engine.lane.Schedulable` asks for.

    `alone` is what its steps take with nothing else on the machine; `rows_seen` and `turns` count the UNet rows and
    steps it took part in, `steps_waited` the steps that others took between its arrival and its first one.
    """

    index: int
    settings: PictureSettings
    arrival: float
    evaluations_left: int
    alone: float
    arrival_step: int
    started: float | None = None
    finished: float = 0.0
    rows_seen: int = 0
    turns: int = 0
    steps_waited: int = 0

    @property
    def key(self) -> BatchKey:
        """The shape that it must share with others to be stepped with them."""
        side = self.settings.size // _PIXELS_A_LATENT
        return BatchKey(side, side, _TOKENS)

    @property
    def rows(self) -> int:
        """UNet rows of one of its steps."""
        return self.settings.rows

    @property
    def priority(self) -> int:
        """All alike."""
        return 2

    @property
    def latency(self) -> float:
        """Seconds from arrival to the end of its last step."""
        return self.finished - self.arrival
