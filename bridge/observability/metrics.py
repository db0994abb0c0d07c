"""The bridge's metrics: what they are called, in a registry of their own."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

# Of a picture; STARWEAVE's client waits 60 seconds.
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
# Of a part of a picture's way, some of which take milliseconds.
_STAGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BYTES = tuple(float(1024 * 4**power) for power in range(9))

# Moments of creation are of use to OpenMetrics parsers only; they would double the number of series.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """One metric as the README tells of it."""

    name: str
    kind: str
    description: str
    labels: tuple[str, ...]


class Metrics:
    """The metrics of one bridge.

    Labels take few values: methods, status codes, families of the repository, names of API keys. What a client makes
    up (user ids, model names, prompts) is never one.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.descriptions: list[MetricDescription] = []

        self.calls = self._counter("calls", "Calls that ended, by the code that the client was told", "method", "code")
        self.call_seconds = self._histogram("call_seconds", "Duration of a call", _SECONDS, "method")
        self.calls_under_way = self._gauge("calls_under_way", "Calls that have not ended yet", "method")
        self.request_bytes = self._histogram("request_bytes", "Size of a request's message", _BYTES, "method")

        self.pictures = self._counter(
            "pictures", "Pictures that ended, by the family that served them", "family", "capability", "code"
        )
        self.picture_seconds = self._histogram(
            "picture_seconds", "Time from a finished picture's arrival to its file", _SECONDS, "family", "capability"
        )
        self.stage_seconds = self._histogram(
            "stage_seconds",
            "Parts of a finished picture's time: decode, waiting, denoising, triton (both of these included), upscale, "
            "encode",
            _STAGE_SECONDS,
            *("family", "stage"),
        )
        self.pixels = self._counter("pixels", "Pixels of finished pictures", "family")
        self.picture_bytes = self._counter("picture_bytes", "Bytes of finished pictures' files", "family", "format")
        self.pictures_under_way = self._gauge("pictures_under_way", "Pictures that the bridge holds")
        self.pictures_limit = self._gauge("pictures_limit", "Pictures that the bridge takes at the same time")

        self.key_pictures = self._counter("key_pictures", "Pictures that ended, by API key", "key", "code")
        self.active_users = self._gauge("active_users", "Users and keys that have a picture under way")
        self.refusals = self._counter(
            "refusals",
            "Pictures refused by a limit: in_flight, backlog, user_rate, user_concurrency, key_rate, key_concurrency",
            "limit",
        )
        self.unauthenticated = self._counter("unauthenticated", "Calls without a known API key")

        self.retries = self._counter("retries", "Pictures begun again after Triton or a model went away", "family")
        self.retries_left = self._gauge("retries_left", "Retries that the budget still allows")
        self.fallbacks = self._counter(
            "fallbacks",
            "Pictures served by a stand-in because the model was unknown, unavailable or failed",
            *("family", "reason"),
        )
        self.circuit_open = self._gauge(
            "circuit_open", "1 while a family that failed too often is left alone", "family"
        )
        self.cancels = self._counter("cancels", "Cancel orders sent to an engine", "family")
        self.dropped_prompts = self._counter(
            "dropped_prompts", "Pictures whose prompt or negative prompt was cut at the text encoder's limit", "family"
        )
        self.styled_pictures = self._counter(
            "styled_pictures", "Finished pictures of a style or quality", "family", "style", "quality"
        )
        self.exposures = self._counter(
            "exposures", "Pictures whose prompt was written by an arm of an experiment", "experiment", "arm"
        )
        self.family_ready = self._gauge(
            "family_ready", "1 while all models of a family answer, 0 while one has died", "family", "version"
        )

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(
            self._describe(f"{name}_total", "counter", description, labels), description, labels, registry=self.registry
        )

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(self._describe(name, "gauge", description, labels), description, labels, registry=self.registry)

    def _histogram(self, name: str, description: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        full_name = self._describe(name, "histogram", description, labels)
        return Histogram(full_name, description, labels, buckets=buckets, registry=self.registry)

    def _describe(self, name: str, kind: str, description: str, labels: tuple[str, ...]) -> str:
        full_name = f"starweave_bridge_{name}"
        self.descriptions.append(MetricDescription(full_name, kind, description, labels))
        return full_name


def metrics_table() -> str:
    """Renders the bridge's metrics as a Markdown table, for the README."""
    rows = ["| metric | kind | meaning | labels |", "|---|---|---|---|"]
    for metric in Metrics().descriptions:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {metric.description} | {labels} |")
    return "\n".join(rows) + "\n"
