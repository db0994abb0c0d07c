"""The engine's metrics out of its record."""

from __future__ import annotations

from collections import Counter

from diffusion_engine.metrics import JOIN_STEPS, METRICS, PICTURES, ROWS, RUNNING, STEPS, WAITING, Kind, MetricReader
from diffusion_engine.outcome import Outcome
from diffusion_engine.record import Ending, Record, StepRecord


class RecordedEngine:
    def __init__(self) -> None:
        self.record = Record()

    def counts(self) -> tuple[int, int]:
        return 3, 5


def test_every_event_is_read_once() -> None:
    engine = RecordedEngine()
    reader = MetricReader(engine)  # type: ignore[arg-type]
    for index in range(1, 4):
        engine.record.add(StepRecord(index, ("a",), 2 * index, 128, 128, unet_ms=9.0, step_ms=10.0))
    engine.record.end(Ending(Outcome.FINISHED, 1, waiting_ms=20.0, steps_waited=1))
    engine.record.end(Ending(Outcome.REFUSED, 4))
    samples = list(reader.read())
    assert [sample.value for sample in samples if sample.metric is ROWS] == [2, 4, 6]
    assert [sample.value for sample in samples if sample.metric is STEPS] == [3]
    assert [sample.value for sample in samples if sample.metric is JOIN_STEPS] == [1]
    pictures = Counter({sample.label: sample.value for sample in samples if sample.metric is PICTURES})
    assert pictures == {"finished": 1, "refused": 4}
    assert {sample.metric: sample.value for sample in reader.read()} == {RUNNING: 3, WAITING: 5}
    engine.record.add(StepRecord(4, ("a",), 2, 128, 128, unet_ms=9.0, step_ms=10.0))
    assert [sample.value for sample in reader.read() if sample.metric is STEPS] == [1]


def test_names_follow_the_ecosystems_habits() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("starweave_")
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
        assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)
