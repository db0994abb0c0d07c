"""What a family's engine last said of the work before a picture: the like of what it refused is refused here."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import Overloaded, TooLate, WaitingRoomFull
from bridge.generation import Generation

# A refusal is believed for this long at most: those before may have given up meanwhile.
_BELIEVED_SECONDS = 1.0
# What the engine expects wavers: a picture whose time would just do is likely to be refused too, and asking costs as
# much as several refusals here.
_MARGIN = 1.05
# Of the round trip's estimate (Jacobson, Congestion Avoidance and Control, SIGCOMM 1988; RFC 6298).
_MEAN_WEIGHT = 1 / 8
_DEVIATION_WEIGHT = 1 / 4
_DEVIATIONS = 4.0


@dataclass(frozen=True, slots=True)
class _Refused:
    """A refusal by the engine: at `at` (monotonic) the picture would have taken `seconds`."""

    at: float
    seconds: float


class Backlog:
    """Keeps pictures that cannot be finished in time from the engine of one family.

    A refusal of the engine costs it what a picture's text costs. The work before a picture falls by a second in a
    second at most, and one that arrives later goes behind: what the engine said of a picture bounds what it will say
    of the next that is alike, and for so long nobody has to ask.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._refused: dict[tuple[object, ...], _Refused] = {}
        self._full: tuple[float, WaitingRoomFull] | None = None
        self._mean: float | None = None
        self._deviation = 0.0

    @property
    def beside(self) -> float:
        """Seconds that a picture may need for all that is not denoising: text encoder, VAE and the file."""
        return (self._mean or 0.0) + _DEVIATIONS * self._deviation

    def check(self, generation: Generation, seconds: float) -> None:
        """Raises Overloaded for a picture that would not be finished within `seconds`."""
        now, seconds = self._clock(), max(0.0, seconds - self.beside)
        if self._full is not None and now - self._full[0] < _BELIEVED_SECONDS:
            raise Overloaded(str(self._full[1]))
        refused = self._refused.get(_likeness(generation))
        if refused is None or now - refused.at >= _BELIEVED_SECONDS:
            return
        expected = (refused.seconds - (now - refused.at)) * _MARGIN
        if expected > seconds:
            raise TooLate(
                f"The picture may take up to {expected:.1f} s, waiting included, and has {seconds:.1f} s; "
                "try again later, with a longer time limit or with fewer steps.",
                expected,
            )

    def refused(self, generation: Generation, error: Overloaded) -> None:
        """The engine refused a picture."""
        now = self._clock()
        if isinstance(error, WaitingRoomFull):
            self._full = (now, error)
        if isinstance(error, TooLate):
            believed = {key: each for key, each in self._refused.items() if now - each.at < _BELIEVED_SECONDS}
            self._refused = believed | {_likeness(generation): _Refused(now, error.expected)}

    def given_up(self) -> None:
        """A picture has left the engine unfinished: there is less work before the next than the engine said."""
        self._full = None
        self._refused = {}

    def finished(self, beside: float) -> None:
        """A picture was made; `beside` seconds of its time were not the engine's. There is room for another."""
        self._full = None
        if self._mean is None:
            self._mean, self._deviation = beside, beside / 2
            return
        self._deviation += _DEVIATION_WEIGHT * (abs(beside - self._mean) - self._deviation)
        self._mean += _MEAN_WEIGHT * (beside - self._mean)


def _likeness(generation: Generation) -> tuple[object, ...]:
    """All that decides how much work a picture is and where the engine's order puts it."""
    return (
        *(generation.ensemble, generation.generated_size, generation.steps, generation.sampler, generation.strength),
        *(generation.guidance_scale, generation.guidance_interval, generation.priority),
    )
