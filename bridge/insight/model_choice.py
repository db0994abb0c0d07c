"""`model: "auto"`: the model that has done best at what a request asks for."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.catalog import Catalog
from bridge.families import Family
from bridge.insight.model_ratings import ModelRatings, ModelRatingsReader
from bridge.insight.model_record import ModelRecord, model_record
from bridge.observability.metrics import Metrics
from bridge.prompts.context.wish import spoken_style
from bridge.prompts.preset_folder import PresetFolder
from bridge.prompts.presets import preset_name
from bridge.recovery.circuits import Circuits
from bridge.validation import capability_of
from protos import starweave_pb2

AUTO = "auto"
# How much speed counts: a model that takes twice as long has to be rated a sixth better.
_SPEED_EXPONENT = 0.25
_MOST_STARS = 5


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The name of a family, "" to leave it open, and why it was taken."""

    model: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    family: Family
    record: ModelRecord
    stars: float

    def score(self, fastest: float | None) -> float:
        speed = 1.0
        if fastest is not None and self.record.mean_seconds is not None:
            speed = (fastest / self.record.mean_seconds) ** _SPEED_EXPONENT
        return self.record.success * self.stars / _MOST_STARS * speed


class ModelChooser:
    """Weighs the families that are ready by success, speed and users' ratings for the prompt's kind.

    The kind is the style that the request or its prompt names, and what the picture is made from.
    """

    def __init__(
        self,
        catalog: Catalog,
        circuits: Circuits,
        folder: PresetFolder,
        ratings: ModelRatingsReader,
        metrics: Metrics,
    ) -> None:
        self._catalog = catalog
        self._circuits = circuits
        self._folder = folder
        self._ratings = ratings
        self._metrics = metrics

    async def choose(self, request: starweave_pb2.ImageRequest) -> ModelChoice:
        """The best family for a request that leaves it to the server; the model that it asks for otherwise."""
        asks = request.model.strip().casefold() == AUTO
        if not asks or any(family.answers_to(request.model) for family in self._catalog.families):
            return ModelChoice(request.model)
        ratings = await self._ratings.newest()
        candidates = self._candidates(request, ratings)
        if not candidates:
            return ModelChoice("")
        fastest = min((c.record.mean_seconds for c in candidates if c.record.mean_seconds is not None), default=None)
        best = max(candidates, key=lambda candidate: candidate.score(fastest))
        return ModelChoice(best.family.name, self._reason(request, best, len(candidates), ratings))

    def _candidates(self, request: starweave_pb2.ImageRequest, ratings: ModelRatings) -> Sequence[_Candidate]:
        capability = capability_of(request)
        return [
            _Candidate(
                family,
                model_record(self._metrics, family.name, capability),
                ratings.expected(family.name, self._kind(request, family)),
            )
            for family in (residency.family for residency in self._catalog.residencies if not residency.is_lost)
            if capability in family.ensembles and family.name not in self._circuits.open
        ]

    def _kind(self, request: starweave_pb2.ImageRequest, family: Family) -> str:
        named = preset_name(request.settings.style)
        return named or spoken_style(request.prompt, self._folder.presets.styles(family))

    def _reason(self, request: starweave_pb2.ImageRequest, best: _Candidate, count: int, ratings: ModelRatings) -> str:
        record, name = best.record, best.family.name
        speed = "not timed yet" if record.mean_seconds is None else f"{record.mean_seconds:.2f} s a picture"
        kind = self._kind(request, best.family)
        rated = f"{best.stars:.1f} stars expected{f' for {kind}' if kind else ''} from {ratings.count(name)} ratings"
        return f"{name}, best of {count}: {record.success:.0%} of pictures finished, {speed}, {rated}"
