"""Lets pictures in: up to the bound on all of them, and up to the shares of their user and API key."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

from bridge.errors import LimitReached, Overloaded
from bridge.generation import Generation
from bridge.limits.backlog import Backlog
from bridge.limits.rates import RateLimiter, parse_rates
from bridge.limits.shares import Shares
from bridge.observability.metrics import Metrics
from bridge.security.caller import Caller


@dataclass(frozen=True, slots=True)
class Limits:
    """`max_in_flight` pictures at the same time in all; rates as `parse_rates` reads them; 0 and "" limit nothing."""

    max_in_flight: int
    user_rate: str = ""
    user_concurrency: int = 0
    key_rate: str = ""
    key_concurrency: int = 0
    store_url: str = ""


_USER_WORDS = "You"


class Admission:
    """Counts what is under way in one bridge, and what has been asked for, which several bridges may count together."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._max_in_flight = limits.max_in_flight
        self._in_flight = 0
        self._user_rates = parse_rates(limits.user_rate)
        self._key_rates = parse_rates(limits.key_rate)
        self._rates = RateLimiter(limits.store_url)
        self._users = Shares(limits.user_concurrency)
        self._keys = Shares(limits.key_concurrency)
        self._refusals = metrics.refusals
        metrics.pictures_limit.set(limits.max_in_flight)
        metrics.pictures_under_way.set_function(lambda: self._in_flight)
        metrics.active_users.set_function(lambda: self._users.names)

    async def count(self, caller: Caller, pictures: int) -> None:
        """Counts pictures that are asked for. Raises LimitReached where they are too many too soon."""
        with self._counted("key_rate"):
            if caller.key and self._key_rates:
                await self._rates.take(self._key_rates, _key_words(caller), f"key/{caller.key}", pictures)
        with self._counted("user_rate"):
            if self._user_rates:
                await self._rates.take(self._user_rates, _USER_WORDS, f"user/{caller.share}", pictures)

    async def close(self) -> None:
        """Gives the connections to the store of rates back."""
        await self._rates.close()

    @contextmanager
    def held(self, caller: Caller) -> Iterator[None]:
        """Holds a place for one picture. Raises Overloaded where there is none, LimitReached beyond a share."""
        if self._in_flight >= self._max_in_flight:
            self._refusals.labels("in_flight").inc()
            raise Overloaded(
                f"The server is busy with {self._in_flight} pictures, as many as it takes; try again in a minute."
            )
        key = self._keys.share(_key_words(caller), caller.key) if caller.key else nullcontext()
        with ExitStack() as stack:
            with self._counted("key_concurrency"):
                stack.enter_context(key)
            with self._counted("user_concurrency"):
                stack.enter_context(self._users.share(_USER_WORDS, caller.share))
            self._in_flight += 1
            try:
                yield
            finally:
                self._in_flight -= 1

    def check_backlog(self, backlog: Backlog, generation: Generation, seconds: float) -> None:
        """Raises Overloaded for a picture that its family's engine would refuse, as `Backlog.check`."""
        try:
            backlog.check(generation, seconds)
        except Overloaded:
            self._refusals.labels("backlog").inc()
            raise

    @contextmanager
    def _counted(self, limit: str) -> Iterator[None]:
        try:
            yield
        except LimitReached:
            self._refusals.labels(limit).inc()
            raise


def _key_words(caller: Caller) -> str:
    return f"The API key {caller.key}"
