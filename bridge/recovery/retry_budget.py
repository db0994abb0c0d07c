"""How many pictures may be begun again, so that retries never become the load that keeps Triton down."""

from bridge.observability.metrics import Metrics

# In the long run at most one picture in so many is made twice.
_PICTURES_PER_RETRY = 10


class RetryBudget:
    """Starts full with `size` retries, enough for all pictures under way to survive one loss of Triton."""

    def __init__(self, size: int, metrics: Metrics) -> None:
        self._most = size * _PICTURES_PER_RETRY
        self._left = self._most
        metrics.retries_left.set_function(lambda: self._left // _PICTURES_PER_RETRY)

    def take(self) -> bool:
        """Takes one retry; False where none is left."""
        if self._left < _PICTURES_PER_RETRY:
            return False
        self._left -= _PICTURES_PER_RETRY
        return True

    def refund(self) -> None:
        """A picture was finished."""
        self._left = min(self._most, self._left + 1)
