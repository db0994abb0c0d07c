"""Puts the bridge together, runs it and takes it down in order."""

import asyncio
import logging
import signal
from functools import partial
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bridge.acceptance import Acceptance
from bridge.calls import Calls
from bridge.cancellation import Cancellations
from bridge.catalog import Catalog
from bridge.codec import PictureCodec
from bridge.health import IMAGE_SERVICE, Health
from bridge.input_pictures import PictureLimits
from bridge.insight.model_choice import ModelChooser
from bridge.insight.model_ratings import ModelRatingsReader
from bridge.insight.preference_reader import PreferenceReader
from bridge.insight.servicer import INSIGHT_SERVICE, ImageInsightService
from bridge.interceptor import ErrorInterceptor
from bridge.library.embedding import embed
from bridge.library.library import Library
from bridge.library.library_pipeline import LibraryPipeline
from bridge.library.location import Location
from bridge.library.retention import Retention
from bridge.library.servicer import LIBRARY_SERVICE, ImageLibraryService
from bridge.limits.admission import Admission
from bridge.loading import Loader
from bridge.observability.call_observer import CallObserver
from bridge.observability.metrics import Metrics
from bridge.observability.metrics_server import MetricsServer
from bridge.observability.picture_observer import PictureObserver
from bridge.pipeline import ImagePipeline
from bridge.previews import Previewer
from bridge.probes import Prober
from bridge.progress import ProgressPoller
from bridge.prompts.context.mode import ContextMode
from bridge.prompts.preference_choice import PreferenceChoice
from bridge.prompts.preset_folder import BUILT_IN, PresetFolder
from bridge.prompts.prompt_writer import PromptWriter
from bridge.prompts.token_budget import TokenBudget
from bridge.recovery.circuits import Circuits
from bridge.recovery.fallback import Fallback, parse_chains
from bridge.recovery.retries import RetryPolicy
from bridge.recovery.retry_budget import RetryBudget
from bridge.residents import Residents
from bridge.security.api_keys import ApiKeys
from bridge.security.authentication import AuthenticationInterceptor
from bridge.security.transport import TlsCredentials
from bridge.servicer import ImageGenerationService
from bridge.settings import Settings
from bridge.triton import Triton
from protos import image_insight_pb2_grpc, image_library_pb2_grpc, starweave_pb2_grpc

logger = logging.getLogger(__name__)

# What the last responses have to leave the machine.
_FLUSH_SECONDS = 2.0


class BridgeServer:
    """One bridge in front of one Triton. Made and used inside a running event loop."""

    def __init__(self, settings: Settings) -> None:
        """Raises OSError, ValueError or InvalidPresets where a file or an address in the settings is of no use."""
        self._settings = settings
        self._metrics = Metrics()
        self._metrics_server: MetricsServer | None = None
        self._triton = Triton(settings.triton_url)
        loader = Loader(self._triton)
        self._residents = Residents(loader, settings.max_resident)
        self._catalog = Catalog(
            self._triton, loader, self._residents, settings.catalog_interval, settings.fallback_models
        )
        self._codec = PictureCodec(PictureLimits(settings.max_input_bytes, settings.max_input_pixels))
        self._cancellations = Cancellations(self._triton, self._metrics)
        self._admission = Admission(settings.limits, self._metrics)
        self._presets = PresetFolder(settings.presets or BUILT_IN)
        self._library = self._make_library()
        self._preferences = None if self._library is None else PreferenceReader(self._library)
        self._images = LibraryPipeline(self._make_pipeline(), self._library, settings.repeats)
        prober = Prober(self._triton, settings.probe_timeout)
        self._health = Health(self._catalog, prober, settings.probe_interval, self._metrics)
        self._calls = Calls()
        self._tls = None if settings.tls_files is None else TlsCredentials(settings.tls_files)
        self._server = grpc.aio.server(
            interceptors=self._make_interceptors(),
            options=[
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_message_bytes),
                # A port that is taken is an error, not something to be shared with a stranger.
                ("grpc.so_reuseport", 0),
                # A client that has gone without saying so is found out, and its pictures are given up.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                # Balancers ask the same of the bridge; gRPC's default takes more than one ping in five minutes, beside
                # a picture that is silent until it is finished, for an attack and closes the connection.
                ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        self._watchers: list[asyncio.Task[None]] = []

    @property
    def metrics_port(self) -> int | None:
        """The port of `/metrics`, None where it is not served."""
        return None if self._metrics_server is None else self._metrics_server.port

    async def start(self) -> int:
        """Starts serving and returns the port. Raises RuntimeError or OSError where a port is taken."""
        settings = self._settings
        service = ImageGenerationService(
            self._catalog,
            self._images,
            ProgressPoller(self._triton, settings.progress_interval),
            Previewer(self._triton, self._codec),
            self._presets,
            settings.request_timeout,
            settings.max_variations,
        )
        starweave_pb2_grpc.add_ImageGenerationServiceServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        services = [IMAGE_SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME]
        if self._library is not None:
            image_library_pb2_grpc.add_ImageLibraryServiceServicer_to_server(
                ImageLibraryService(self._library, self._catalog), self._server
            )
            services.append(LIBRARY_SERVICE)
        if self._library is not None and self._preferences is not None:
            image_insight_pb2_grpc.add_ImageInsightServiceServicer_to_server(
                ImageInsightService(self._library, self._preferences), self._server
            )
            services.append(INSIGHT_SERVICE)
        if not settings.hardened:
            reflection.enable_server_reflection(services, self._server)
        address = f"{settings.host}:{settings.port}"
        if self._tls is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, self._tls.credentials)
        if settings.metrics_port is not None:
            self._metrics_server = MetricsServer(self._metrics, settings.metrics_host, settings.metrics_port)
            logger.info("Metrics: http://%s:%d/metrics", settings.metrics_host, self._metrics_server.port)
        await self._health.start()
        await self._server.start()
        if self._library is not None:
            self._library.start()
        self._watchers = [asyncio.create_task(part.run()) for part in (self._catalog, self._health, self._presets)]
        logger.info("The bridge listens on %s:%d; its Triton is %s.", settings.host, port, settings.triton_url)
        return port

    async def serve(self) -> None:
        """Runs a started bridge until SIGTERM or SIGINT, then stops it.

        Raises what ended a part of the bridge that must not end.
        """
        signalled = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, signalled.set)
        try:
            waiter = asyncio.create_task(signalled.wait())
            tasks: list[asyncio.Task[Any]] = [waiter, *self._watchers]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
            for task in done:
                task.result()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Says NOT_SERVING, takes no new calls, gives pictures under way their grace, then ends the rest.

        What is ended is cancelled inside Triton as well.
        """
        await self._health.stop()
        grace = self._settings.drain_grace
        stopping = asyncio.create_task(self._server.stop(grace))
        try:
            # Not by the server's own count: a call that watches the health service never ends.
            async with asyncio.timeout(grace):
                await self._calls.finished()
            await self._server.stop(_FLUSH_SECONDS)
        except TimeoutError:
            logger.warning("Pictures that were not finished within %g s are cancelled.", grace)
        await stopping
        await self._calls.finished()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        if self._library is not None:
            await self._library.stop()
        await self._cancellations.sent()
        await self._admission.close()
        await self._triton.close()
        self._codec.close()
        if self._metrics_server is not None:
            await asyncio.to_thread(self._metrics_server.close)
        logger.info("The bridge has stopped.")

    def _make_pipeline(self) -> ImagePipeline:
        settings, metrics = self._settings, self._metrics
        circuits = Circuits(settings.circuit_failures, settings.circuit_seconds, metrics)
        fallback = Fallback(self._catalog, circuits, parse_chains(settings.fallback_chains))
        retry_policy = RetryPolicy(settings.recovery_wait, RetryBudget(settings.retry_budget, metrics))
        observer = PictureObserver(metrics, settings.log_prompts)
        preferences = PreferenceChoice(self._preferences, settings.preferences)
        prompts = PromptWriter(
            self._presets,
            TokenBudget(self._triton, self._residents),
            ContextMode(settings.context_mode),
            preferences,
            metrics,
        )
        ratings = ModelRatingsReader(self._library)
        chooser = ModelChooser(self._catalog, circuits, self._presets, ratings, metrics)
        acceptance = Acceptance(
            *(chooser, fallback, prompts, self._codec, self._admission, retry_policy, observer),
            *(self._catalog.upscalers, settings.max_upscaled_pixels),
        )
        return ImagePipeline(
            *(self._triton, self._residents, acceptance, self._codec, self._cancellations),
            *(self._admission, retry_policy, circuits, observer),
        )

    def _make_interceptors(self) -> list[Any]:
        guards: list[Any] = []
        if self._settings.api_keys_file is not None:
            guards.append(AuthenticationInterceptor(ApiKeys(self._settings.api_keys_file), self._metrics))
        return [*guards, ErrorInterceptor(self._calls, CallObserver(self._metrics))]

    def _make_library(self) -> Library | None:
        settings = self._settings
        if settings.library is None:
            return None
        return Library(
            Location(settings.library, settings.library_database, settings.library_blobs),
            Retention(
                max_days=settings.library_max_days,
                max_images=settings.library_max_images,
                max_bytes=settings.library_max_bytes,
                max_per_user=settings.library_max_per_user,
            ),
            lambda: self._catalog.residencies,
            partial(embed, self._triton),
        )
