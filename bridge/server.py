"""Puts the bridge together, runs it and takes it down in order."""

import asyncio
import logging
import signal
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from bridge.calls import Calls
from bridge.cancellation import Cancellations
from bridge.catalog import Catalog
from bridge.codec import PictureCodec
from bridge.health import IMAGE_SERVICE, Health
from bridge.input_pictures import PictureLimits
from bridge.interceptor import ErrorInterceptor
from bridge.pipeline import ImagePipeline
from bridge.previews import Previewer
from bridge.probes import Prober
from bridge.progress import ProgressPoller
from bridge.servicer import ImageGenerationService
from bridge.settings import Settings
from bridge.triton import Triton
from protos import starweave_pb2_grpc

logger = logging.getLogger(__name__)

# STARWEAVE's own limit.
_MAX_MESSAGE_BYTES = 50 * 1024 * 1024
# What the last responses have to leave the machine.
_FLUSH_SECONDS = 2.0
_SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # A port that is taken is an error, not something to be shared with a stranger.
    ("grpc.so_reuseport", 0),
]


class BridgeServer:
    """One bridge in front of one Triton. Made and used inside a running event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._triton = Triton(settings.triton_url)
        self._catalog = Catalog(self._triton, settings.catalog_interval, settings.fallback_models)
        self._codec = PictureCodec(PictureLimits(settings.max_input_bytes, settings.max_input_pixels))
        self._cancellations = Cancellations(self._triton)
        self._pipeline = ImagePipeline(
            self._triton,
            self._catalog,
            self._codec,
            self._cancellations,
            settings.max_in_flight,
            settings.max_upscaled_pixels,
        )
        prober = Prober(self._triton, settings.probe_timeout)
        self._health = Health(self._catalog, prober, settings.probe_interval)
        self._calls = Calls()
        self._server = grpc.aio.server(interceptors=[ErrorInterceptor(self._calls)], options=_SERVER_OPTIONS)
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Starts serving and returns the port. Raises RuntimeError where the port is taken."""
        settings = self._settings
        service = ImageGenerationService(
            self._catalog,
            self._pipeline,
            ProgressPoller(self._triton, settings.progress_interval),
            Previewer(self._triton, self._codec),
            settings.request_timeout,
        )
        starweave_pb2_grpc.add_ImageGenerationServiceServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        reflection.enable_server_reflection(
            (IMAGE_SERVICE, "grpc.health.v1.Health", reflection.SERVICE_NAME), self._server
        )
        port = self._server.add_insecure_port(f"{settings.host}:{settings.port}")
        await self._health.start()
        await self._server.start()
        self._watchers = [asyncio.create_task(self._catalog.run()), asyncio.create_task(self._health.run())]
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
            await asyncio.wait_for(self._calls.finished(), grace)
            await self._server.stop(_FLUSH_SECONDS)
        except TimeoutError:
            logger.warning("Pictures that were not finished within %g s are cancelled.", grace)
        await stopping
        await self._calls.finished()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await self._cancellations.sent()
        await self._triton.close()
        self._codec.close()
        logger.info("The bridge has stopped.")
