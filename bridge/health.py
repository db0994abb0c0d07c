"""The truth of the models, told through grpc.health.v1."""

import asyncio
import logging
from enum import IntEnum

from grpc_health.v1.health import aio  # type: ignore[attr-defined]  # the stubs leave it out

from bridge.catalog import Catalog
from bridge.errors import ModelUnavailable
from bridge.observability.metrics import Metrics
from bridge.probes import ModelProcess, Outcome, Prober
from bridge.residency import Resident

logger = logging.getLogger(__name__)

IMAGE_SERVICE = "starweave.ImageGenerationService"
# SERVING as long as the bridge itself answers, whatever became of Triton: for whoever would start the bridge again.
BRIDGE_SERVICE = "starweave.bridge"
# SERVING: every model process of the loaded families answers. NOT_SERVING: one has died or Triton is gone; whoever
# supervises Triton starts it again. UNKNOWN: nothing is loaded yet.
MODELS_SERVICE = "starweave.models"

# A busy machine may answer one probe late, and Triton calls a process unhealthy that did not get the processor for a
# second; twice in a row is no accident.
_FAILURES_IN_A_ROW = 2
# How soon to look again while something is amiss, in seconds.
_IMPATIENT_INTERVAL = 0.5


class Status(IntEnum):
    """`grpc.health.v1.HealthCheckResponse.ServingStatus`, by its numbers."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2


class Health:
    """Probes the models, fails what is under way on a family that has died, and sets the health services."""

    def __init__(self, catalog: Catalog, prober: Prober, interval: float, metrics: Metrics) -> None:
        self._catalog = catalog
        self._prober = prober
        self.servicer = aio.HealthServicer()
        self._interval = interval
        self._ready = metrics.family_ready
        self._measured: set[tuple[str, str]] = set()
        self._failures: dict[ModelProcess, int] = {}
        self._silences = 0
        self._was_live = False
        self._service = Status.NOT_SERVING
        self._models = Status.UNKNOWN

    async def start(self) -> None:
        """Sets the services before the server is reachable."""
        await self.servicer.set(BRIDGE_SERVICE, Status.SERVING)
        await self._tell(self._service, self._models)

    async def run(self) -> None:
        """Probes until it is cancelled."""
        while True:
            service, models = await self._probe()
            await self._tell(service, models)
            all_well = service == models == Status.SERVING and not any(self._failures.values())
            await asyncio.sleep(self._interval if all_well else min(_IMPATIENT_INTERVAL, self._interval))

    async def _probe(self) -> tuple[Status, Status]:
        """Returns the status of the image service and of the models."""
        try:
            return await self._ask()
        finally:
            self._measure()

    async def _ask(self) -> tuple[Status, Status]:
        if not await self._prober.is_live():
            return Status.NOT_SERVING, self._silent()
        self._was_live = True
        self._silences = 0
        residents = [*self._catalog.residencies, *self._catalog.upscalers.residents]
        catalog, *found = await asyncio.gather(self._prober.catalog(), *map(self._prober.resident, residents))
        dead = self._dead([catalog, *found])
        for resident, outcomes in zip(residents, found, strict=True):
            self._judge(resident, outcomes, [process for process in dead if process in outcomes])
        any_ready = any(residency.is_complete and not residency.is_lost for residency in self._catalog.residencies)
        service = Status.SERVING if any_ready else Status.NOT_SERVING
        if dead:
            return service, Status.NOT_SERVING
        return service, Status.SERVING if any_ready else Status.UNKNOWN

    def _dead(self, found: list[dict[ModelProcess, Outcome]]) -> list[ModelProcess]:
        """The processes that have failed to answer often enough."""
        self._failures = {
            process: self._failures.get(process, 0) + 1 if outcome in (Outcome.LATE, Outcome.DEAD) else 0
            for outcomes in found
            for process, outcome in outcomes.items()
        }
        return [process for process, failures in self._failures.items() if failures >= _FAILURES_IN_A_ROW]

    def _judge(self, resident: Resident, outcomes: dict[ModelProcess, Outcome], dead: list[ModelProcess]) -> None:
        """Gives a family or an upscaler up, or takes it back once all of it has answered."""
        name = resident.name
        if dead:
            if not resident.is_lost:
                processes = ", ".join(f"{process.model} version {process.version}" for process in dead)
                logger.error("Dead: %s. The model %s fails until Triton is started again.", processes, name)
            resident.lose(
                ModelUnavailable(f"The model {name} failed while the picture was being made; try again in a minute.")
            )
        elif resident.is_complete and all(outcome is Outcome.ANSWERED for outcome in outcomes.values()):
            resident.regain()

    def _silent(self) -> Status:
        """Triton itself does not answer: the second time in a row, everything in it is lost."""
        self._silences += 1
        if not self._was_live:
            return Status.UNKNOWN
        if self._silences < _FAILURES_IN_A_ROW:
            return self._models
        for resident in (*self._catalog.residencies, *self._catalog.upscalers.residents):
            resident.lose(
                ModelUnavailable("The model server stopped while the picture was being made; try again in a minute.")
            )
        return Status.NOT_SERVING

    def _measure(self) -> None:
        ready = {
            (residency.family.name, str(residency.family.version)): residency.is_complete and not residency.is_lost
            for residency in self._catalog.residencies
        }
        for gone in self._measured - ready.keys():
            self._ready.remove(*gone)
        for labels, is_ready in ready.items():
            self._ready.labels(*labels).set(is_ready)
        self._measured = set(ready)

    async def stop(self) -> None:
        """Says NOT_SERVING for good."""
        await self.servicer.enter_graceful_shutdown()

    async def _tell(self, service: Status, models: Status) -> None:
        if (service, models) != (self._service, self._models):
            logger.info("Health: service %s, models %s", service.name, models.name)
        self._service, self._models = service, models
        for name in ("", IMAGE_SERVICE):
            await self.servicer.set(name, service)
        await self.servicer.set(MODELS_SERVICE, models)
