"""How many pictures a user, or an API key, may ask for in a time."""

import logging
import math
import time

from limits import RateLimitItem, parse_many
from limits.aio.strategies import MovingWindowRateLimiter

from bridge.errors import LimitReached
from bridge.limits.rate_store import RateStore

logger = logging.getLogger(__name__)


def parse_rates(text: str) -> list[RateLimitItem]:
    """Reads rates such as `30/minute; 500/day`; "" is none. Raises ValueError for anything else."""
    return list(parse_many(text)) if text.strip() else []


class RateLimiter:
    """Counts in moving windows, in memory or in a Redis that several bridges share.

    While the Redis does not answer, nothing is limited: pictures are worth more than their count.
    """

    def __init__(self, store_url: str) -> None:
        """`store_url` is a RateStore's. Raises ValueError."""
        self._store = RateStore(store_url)
        self._limiter = MovingWindowRateLimiter(self._store.storage)
        self._is_reachable = True

    async def close(self) -> None:
        """Gives the store's connections back."""
        await self._store.close()

    async def take(self, rates: list[RateLimitItem], who: str, name: str, pictures: int) -> None:
        """Counts pictures for `name`, a user's or key's; `who` begins the sentence that refuses them.

        Raises LimitReached, which tells how long to wait, and then counts nothing.
        """
        try:
            for rate in rates:
                if pictures > rate.amount:
                    raise LimitReached(
                        f"{who} may ask for {_words(rate)}; {pictures} at once are more than that, ask for fewer."
                    )
                if not await self._limiter.test(rate, name, cost=pictures):
                    window = await self._limiter.get_window_stats(rate, name)
                    raise _refusal(who, rate, window.reset_time - time.time())
            for rate in rates:
                if not await self._limiter.hit(rate, name, cost=pictures):
                    raise _refusal(who, rate, 1)
        except LimitReached:
            raise
        except Exception as error:
            # Of whatever kind: each store has errors of its own.
            self._unreachable(error)
        else:
            self._is_reachable = True

    def _unreachable(self, error: Exception) -> None:
        if self._is_reachable:
            logger.error("The store of rates does not answer; nothing is limited meanwhile: %s", type(error).__name__)
        self._is_reachable = False


def _words(rate: RateLimitItem) -> str:
    unit = rate.GRANULARITY.name
    time_span = f"a {unit}" if rate.multiples == 1 else f"in {rate.multiples} {unit}s"
    return f"{rate.amount} picture{'s' * (rate.amount != 1)} {'an hour' if time_span == 'a hour' else time_span}"


def _refusal(who: str, rate: RateLimitItem, seconds: float) -> LimitReached:
    wait = max(1, math.ceil(seconds))
    text = f"{wait} second{'s' * (wait != 1)}" if wait < 120 else f"{math.ceil(wait / 60)} minutes"
    return LimitReached(f"{who} may ask for {_words(rate)}, which are used up; try again in {text}.")
