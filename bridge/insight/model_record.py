"""How models have done since the bridge started, read from its own metrics."""

from dataclasses import dataclass

import grpc

from bridge.observability.metrics import Metrics

# Endings that are the model's fault; a refused or cancelled request is not.
_FAILURES = {code.name for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN)} | {
    grpc.StatusCode.DEADLINE_EXCEEDED.name
}


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One family's finished and failed pictures of one capability; `mean_seconds` is None before the first."""

    finished: int
    failed: int
    mean_seconds: float | None

    @property
    def success(self) -> float:
        """The part that was finished, 0 to 1; 1 for a family that has not been tried."""
        return (self.finished + 1) / (self.finished + self.failed + 1)


def model_record(metrics: Metrics, family: str, capability: str) -> ModelRecord:
    """What the metrics tell of a family."""
    ended = {
        sample.labels["code"]: sample.value
        for metric in metrics.pictures.collect()
        for sample in metric.samples
        if sample.labels.get("family") == family and sample.labels.get("capability") == capability
    }
    times = {
        sample.name.rpartition("_")[2]: sample.value
        for metric in metrics.picture_seconds.collect()
        for sample in metric.samples
        if sample.labels.get("family") == family and sample.labels.get("capability") == capability
    }
    count = times.get("count", 0.0)
    return ModelRecord(
        finished=int(ended.get(grpc.StatusCode.OK.name, 0)),
        failed=int(sum(value for code, value in ended.items() if code in _FAILURES)),
        mean_seconds=times["sum"] / count if count else None,
    )
