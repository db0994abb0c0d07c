"""Measures and traces single pictures and the parts of their way."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.trace import Status, StatusCode

from bridge.dropped_text import DroppedText
from bridge.errors import BridgeError
from bridge.generation import Generation
from bridge.observability.metrics import Metrics
from bridge.observability.tracing import TRACER
from bridge.recovery.fallback import FallbackReason

logger = logging.getLogger(__name__)


class ObservedPicture:
    """A picture under way; `generation` is replaced where another family takes over."""

    def __init__(self, metrics: Metrics, generation: Generation) -> None:
        self._metrics = metrics
        self._stages: dict[str, float] = {}
        self.generation = generation

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures one part of the way."""
        started = time.monotonic()
        with TRACER.start_as_current_span(name, record_exception=False):
            yield
        self._stages[name] = time.monotonic() - started

    def begun_again(self, generation: Generation) -> None:
        """The picture is attempted once more."""
        self._metrics.retries.labels(self.generation.family.name).inc()
        self.generation = generation

    def fell_back(self, reason: FallbackReason) -> None:
        """The picture was made by a family that stands in for the one asked for."""
        self._metrics.fallbacks.labels(self.generation.family.name, reason).inc()

    def finished(self, seconds: float, size: int, info: dict[str, Any], dropped: DroppedText) -> None:
        """The picture's file of `size` bytes is ready, `seconds` after its request had arrived.

        `info` is the engine's, with times in milliseconds.
        """
        self._stages["waiting"] = info["waiting_ms"] / 1e3
        self._stages["denoising"] = info["denoising_ms"] / 1e3
        generation, metrics = self.generation, self._metrics
        family = generation.family.name
        metrics.picture_seconds.labels(family, generation.capability).observe(seconds)
        metrics.pixels.labels(family).inc(generation.size.width * generation.size.height)
        metrics.picture_bytes.labels(family, generation.output_format).inc(size)
        if dropped != DroppedText():
            metrics.dropped_prompts.labels(family).inc()
        origin = generation.prompt_origin
        if origin.style or origin.quality:
            metrics.styled_pictures.labels(family, origin.style, origin.quality).inc()
        for stage, duration in self._stages.items():
            metrics.stage_seconds.labels(family, stage).observe(duration)


class PictureObserver:
    """Counts pictures by how they end."""

    def __init__(self, metrics: Metrics, log_prompts: bool) -> None:
        self._metrics = metrics
        self._log_prompts = log_prompts

    @contextmanager
    def decoding(self, family: str) -> Iterator[None]:
        """Measures the decoding of the pictures that a picture starts from."""
        with TRACER.start_as_current_span("decode"), self._metrics.stage_seconds.labels(family, "decode").time():
            yield

    @contextmanager
    def observe(self, generation: Generation, key: str) -> Iterator[ObservedPicture]:
        """Observes one picture that is made for the API key of that name, "" for none."""
        picture = ObservedPicture(self._metrics, generation)
        code = grpc.StatusCode.INTERNAL
        with TRACER.start_as_current_span("picture", record_exception=False) as span:
            try:
                yield picture
                code = grpc.StatusCode.OK
                if self._log_prompts:
                    logger.info("prompt %r, negative prompt %r", generation.prompt, generation.negative_prompt)
            except BridgeError as error:
                code = error.code
                span.set_status(Status(StatusCode.ERROR, code.name))
                raise
            except asyncio.CancelledError:
                code = grpc.StatusCode.CANCELLED
                raise
            finally:
                ended = picture.generation
                span.set_attributes(_attributes(ended))
                self._metrics.pictures.labels(ended.family.name, ended.capability, code.name).inc()
                if key:
                    self._metrics.key_pictures.labels(key, code.name).inc()


def _attributes(generation: Generation) -> dict[str, str | int | float]:
    return {
        "starweave.family": generation.family.name,
        "starweave.version": generation.family.version,
        "starweave.steps": generation.steps,
        "starweave.sampler": generation.sampler,
        "starweave.size": str(generation.size),
    }
