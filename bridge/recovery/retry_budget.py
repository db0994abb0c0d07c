"""How many pictures may be begun again, so that retries never become the load that keeps Triton down."""

from bridge.observability.metrics import Metrics

# What each finished picture gives back: in the long run at most one in ten is made twice.
_REFUND = 0.1


class RetryBudget:
    """Starts full with `size` retries, enough for all pictures under way to survive one loss of Triton."""

    def __init__(self, size: int, metrics: Metrics) -> None:
        self._size = float(size)
        self._left = float(size)
        metrics.retries_left.set_function(lambda: self._left)

    def take(self) -> bool:
        """Takes one retry; False where none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def refund(self) -> None:
        """A picture was finished."""
        self._left = min(self._size, self._left + _REFUND)
