"""The baseline server: a diffusers pipeline in the threads of a gRPC server, as STARWEAVE's own server is built.

`python -m benchmarks.starweave_server CHECKPOINT --workers 2 --threads 1` serves on a free port and prints it. Every
worker has a pipeline of its own over the same modules, because a pipeline's scheduler is changed by a run.
"""

from __future__ import annotations

import io
import threading
from concurrent import futures
from typing import Any

import click
import grpc
import torch
from diffusers import StableDiffusionPipeline

from protos import starweave_pb2, starweave_pb2_grpc


class PipelineServicer(starweave_pb2_grpc.ImageGenerationServiceServicer):
    """STARWEAVE's GenerateImage by diffusers; the sampler is the checkpoint's own."""

    def __init__(self, checkpoint: str) -> None:
        self._pipeline: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            checkpoint, safety_checker=None, requires_safety_checker=False
        )
        self._of_thread = threading.local()

    def GenerateImage(
        self, request: starweave_pb2.ImageRequest, context: grpc.ServicerContext
    ) -> starweave_pb2.ImageResponse:
        """Makes one picture; returns it as PNG."""
        settings = request.settings
        with torch.inference_mode():
            picture = self._own_pipeline()(
                request.prompt,
                width=settings.width,
                height=settings.height,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance_scale,
                generator=torch.Generator().manual_seed(settings.seed),
            ).images[0]
        file = io.BytesIO()
        picture.save(file, "PNG")
        return starweave_pb2.ImageResponse(image_data=file.getvalue(), format="image/png")

    def _own_pipeline(self) -> Any:
        if not hasattr(self._of_thread, "pipeline"):
            shared = self._pipeline.components
            scheduler = shared["scheduler"].from_config(shared["scheduler"].config)
            pipeline: Any = StableDiffusionPipeline(  # type: ignore[no-untyped-call]
                **{**shared, "scheduler": scheduler}, requires_safety_checker=False
            )
            pipeline.set_progress_bar_config(disable=True)
            self._of_thread.pipeline = pipeline
        return self._of_thread.pipeline


@click.command()
@click.argument("checkpoint")
@click.option("--workers", default=1, show_default=True, help="Pictures made at the same time.")
@click.option("--threads", default=1, show_default=True, help="Torch's threads for one operation.")
@click.option("--port", default=0, help="Port to listen on; 0 takes a free one.")
def main(checkpoint: str, workers: int, threads: int, port: int) -> None:
    """Serve CHECKPOINT, a diffusers folder, until killed."""
    torch.set_num_threads(threads)
    server = grpc.server(futures.ThreadPoolExecutor(workers))
    starweave_pb2_grpc.add_ImageGenerationServiceServicer_to_server(PipelineServicer(checkpoint), server)
    port = server.add_insecure_port(f"localhost:{port}")
    server.start()
    click.echo(port)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
