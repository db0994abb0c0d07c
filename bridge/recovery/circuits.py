"""Leaves families alone that keep failing although their processes answer, such as one that runs out of memory.

What has died is the health probes' to find and to take back (`Residency.lost`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bridge.errors import BridgeError, GenerationFailed, ModelOutOfService
from bridge.observability.metrics import Metrics


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    closes_at: float | None = None


class Circuits:
    """One circuit breaker for each family.

    It opens after `failures` failures in a row and refuses for `seconds`; then one picture at a time tries the
    family, and the first that succeeds closes it.
    """

    def __init__(
        self, failures: int, seconds: float, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most_failures = failures
        self._seconds = seconds
        self._metrics = metrics
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}

    @property
    def open(self) -> frozenset[str]:
        """The names of the families that are left alone at the moment."""
        return frozenset(name for name, circuit in self._circuits.items() if self._is_open(circuit))

    def enter(self, family: str) -> None:
        """A picture is to be made by the family. Raises ModelOutOfService while it is left alone."""
        circuit = self._circuits.get(family)
        if circuit is None or circuit.closes_at is None:
            return
        wait = circuit.closes_at - self._clock()
        if wait > 0:
            raise ModelOutOfService(
                f"The model {family} has failed {circuit.failures} times in a row and is left alone for now; "
                f"try again in {max(1, round(wait))} seconds or choose another model."
            )
        # This picture tries it; further ones wait for how that ends, or for as long again.
        circuit.closes_at = self._clock() + self._seconds

    def succeeded(self, family: str) -> None:
        """The family made a picture."""
        if self._circuits.pop(family, None) is not None:
            self._metrics.circuit_open.labels(family).set(0)

    def failed(self, family: str, error: BridgeError) -> None:
        """The family did not; errors that say nothing about it are left out."""
        if not isinstance(error, GenerationFailed):
            return
        circuit = self._circuits.setdefault(family, _Circuit())
        circuit.failures += 1
        if circuit.failures >= self._most_failures:
            circuit.closes_at = self._clock() + self._seconds
            self._metrics.circuit_open.labels(family).set(1)

    def _is_open(self, circuit: _Circuit) -> bool:
        return circuit.closes_at is not None and circuit.closes_at > self._clock()
