"""`starweave generate`."""

from __future__ import annotations

from pathlib import Path

import click
import grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from protos import starweave_pb2
from standalone import picture_file
from standalone.client import DEFAULT_ADDRESS, connect, explain, image_service
from standalone.errors import GenerationFailed
from standalone.size import Size

_PICTURE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("prompt")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("picture.png"), show_default=True)
@click.option("--steps", type=int, help="Denoising steps.")
@click.option("--size", type=Size(), help="Size in pixels, such as 512x512.")
@click.option("--guidance-scale", type=float, help="How closely the prompt is followed; 1 turns guidance off.")
@click.option("--negative-prompt", default="", help="What the picture should not show.")
@click.option("--style", default="", help="Such as watercolor; `starweave models` lists them.")
@click.option("--quality", default="", help="Such as high.")
@click.option("--context", multiple=True, help="An earlier turn of the conversation; may be given several times.")
@click.option("--context-mode", type=click.Choice(["off", "light", "strong"]), help="How much of the context is used.")
@click.option("--seed", type=int, help="The same seed and settings give the same picture.  [default: random]")
@click.option("--sampler", default="", help="Such as ddim or euler_a.")
@click.option("--init-image", type=_PICTURE, help="PNG, JPEG or WebP file to start from.")
@click.option("--mask", type=_PICTURE, help="File of the same size as the init image; white is repainted.")
@click.option("--strength", type=float, help="How far the picture may leave the init image: above 0, up to 1.")
@click.option("--upscale", type=int, default=1, help="How many times as wide and as high the picture is made after.")
@click.option("--preview", type=click.Path(dir_okay=False, path_type=Path), help="JPEG file to show it in meanwhile.")
@click.option("--model", default="", help="Id, name or alias, as `starweave models` lists them, or auto.")
@click.option("--user", default="", help="On whose behalf; what is rated and learnt is this user's.")
@click.option("--preferences/--no-preferences", default=None, help="Whether style and quality may be the user's own.")
@click.option("--address", default=DEFAULT_ADDRESS, show_default=True, help="host:port of the image server.")
def generate(
    prompt: str,
    output: Path,
    steps: int | None,
    size: tuple[int, int] | None,
    guidance_scale: float | None,
    negative_prompt: str,
    style: str,
    quality: str,
    context: tuple[str, ...],
    context_mode: str | None,
    seed: int | None,
    sampler: str,
    init_image: Path | None,
    mask: Path | None,
    strength: float | None,
    upscale: int,
    preview: Path | None,
    model: str,
    user: str,
    preferences: bool | None,
    address: str,
) -> None:
    """Make a picture of PROMPT. What is not given takes the model's default."""
    width, height = size or (None, None)
    settings = starweave_pb2.ImageSettings(
        width=width,
        height=height,
        steps=steps,
        guidance_scale=guidance_scale,
        seed=seed,
        negative_prompt=negative_prompt,
        style=style,
        quality=quality,
        sampler=sampler,
        output_format=picture_file.output_format(output),
        upscale=upscale,
    )
    request = starweave_pb2.ImageRequest(
        prompt=prompt,
        model=model,
        user_id=user,
        use_preferences=preferences,
        settings=settings,
        context=context,
        context_mode=context_mode or "",
        init_image=picture_file.read(init_image) if init_image else b"",
        mask_image=picture_file.read(mask) if mask else b"",
        strength=strength,
        previews=preview is not None,
    )
    response = _generate(request, address, preview)
    picture_file.write(response, output)
    click.echo(picture_file.describe(response, output))


def _generate(request: starweave_pb2.ImageRequest, address: str, preview: Path | None) -> starweave_pb2.ImageResponse:
    """Runs the request at `address` behind a progress bar, with the newest preview in the file `preview`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with connect(address) as channel, bar:
        progress: starweave_pb2.ImageProgress
        task = bar.add_task("Connecting", total=None)
        try:
            for progress in image_service(channel).GenerateImageStream(request):
                if progress.stage == starweave_pb2.ImageProgress.WAITING:
                    position = f" (place {progress.queue_position})" if progress.queue_position else ""
                    bar.update(task, description=f"Waiting{position}")
                elif progress.stage == starweave_pb2.ImageProgress.DENOISING:
                    bar.update(task, description="Denoising", completed=progress.step, total=progress.steps)
                    if preview and progress.preview:
                        _show(progress.preview, preview)
                elif progress.stage == starweave_pb2.ImageProgress.FINISHED:
                    return progress.result
        except grpc.RpcError as error:
            raise explain(error, address) from error
    raise GenerationFailed("The server ended the call without a picture: look into its log.")


def _show(preview: bytes, file: Path) -> None:
    """Replaces `file` in one go: a viewer never reads half a preview."""
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_bytes(preview)
        part.replace(file)
    except OSError as error:
        raise GenerationFailed(f"The preview {file} cannot be written: {error.strerror}.") from error
