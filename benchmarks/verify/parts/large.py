"""Stable Diffusion 1.5 and 2.1 at full size, of random weights: exported, served, and equal to torch.

Each paints one picture in two steps, at the smallest size of its family, and its controls: another prompt, guidance and
number of steps must make another picture.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc

from benchmarks.large.measured import run_module
from benchmarks.process_usage import server_usage
from benchmarks.verify.findings import Check, Findings
from export.similarity import Similarity
from standalone.triton import Triton, TritonPorts

# By the kinds of `benchmarks.large.checkpoint`, the pixels of a picture.
_SIZES: Final = {"sd15": 256, "sd21": 384}
_PROMPT: Final = "a red circle left of a yellow star on a blue background"
_OTHER_PROMPT: Final = "a white moon on a green background"
_STEPS, _GUIDANCE, _SEED = 2, 7.5, 42
_CONTROLS: Final[dict[str, dict[str, Any]]] = {
    "prompt": {"PROMPT": _OTHER_PROMPT},
    "guidance": {"GUIDANCE_SCALE": 1.0},
    "number of steps": {"STEPS": 3},
}
_CLOSE_DB, _FAR_DB = 40.0, 25.0
_START_SECONDS: Final = 300.0
_GIB: Final = 2**30
_TYPES: Final = {"SEED": "INT64", "WIDTH": "INT32", "HEIGHT": "INT32", "STEPS": "INT32", "GUIDANCE_SCALE": "FP32"}
_DTYPES: Final = {"INT64": np.int64, "INT32": np.int32, "FP32": np.float32, "BYTES": np.object_}

Picture = npt.NDArray[np.uint8]


def run(folder: Path, say: Callable[[str], None]) -> Findings:
    """One checkpoint after the other, each removed before the next."""
    checks: list[Check] = []
    figures: dict[str, int | float | str] = {}
    for kind in _SIZES:
        found = _verify(kind, folder / kind, say)
        checks += found.checks
        figures |= found.figures
        shutil.rmtree(folder / kind)
    return Findings(tuple(checks), figures)


def _verify(kind: str, folder: Path, say: Callable[[str], None]) -> Findings:
    folder.mkdir()
    checkpoint, repository, picture = folder / "checkpoint", folder / "model_repository", folder / "picture.npy"
    settings = {
        "prompt": _PROMPT,
        "width": _SIZES[kind],
        "height": _SIZES[kind],
        "num_inference_steps": _STEPS,
        "guidance_scale": _GUIDANCE,
        "seed": _SEED,
    }
    commands: dict[str, tuple[str, ...]] = {
        "checkpoint": ("benchmarks.large.checkpoint", kind, str(checkpoint)),
        "torch": ("benchmarks.large.reference", str(checkpoint), json.dumps(settings), str(picture)),
        "export": (
            "standalone.command",
            "export",
            str(checkpoint),
            *("--name", kind, "--repository", str(repository), "--no-quality"),
        ),
    }
    figures: dict[str, int | float | str] = {}
    for name, (module, *arguments) in commands.items():
        say(f"{kind}: {name}")
        measured = run_module(folder / f"{name}.log", module, *arguments)
        figures[f"{kind} {name}, seconds"] = measured.seconds
        figures[f"{kind} {name}, peak GiB"] = measured.peak_gib
    files = [file for file in repository.rglob("*") if file.is_file()]
    figures[f"{kind} repository, GiB"] = sum(file.stat().st_size for file in files) / _GIB
    say(f"{kind}: serving")
    pictures, of_server = _serve(kind, repository, folder / "triton")
    checks = [Check(f"{kind}: weights beyond 2 GB lie beside the graph.", _is_large(repository, kind))]
    reference = np.load(picture)
    for name, made in pictures.items():
        likeness = Similarity.of(made, reference).psnr
        figures[f"{kind} {name}, PSNR dB"] = likeness
        checks.append(
            Check(f"{kind}: another {name} makes another picture than torch's (< {_FAR_DB:g} dB).", likeness < _FAR_DB)
            if name in _CONTROLS
            else Check(f"{kind}: the picture is torch's (>= {_CLOSE_DB:g} dB).", likeness >= _CLOSE_DB)
        )
    return Findings(tuple(checks), figures | {f"{kind} {name}": value for name, value in of_server.items()})


def _serve(kind: str, repository: Path, folder: Path) -> tuple[dict[str, Picture], dict[str, float]]:
    """The pictures of the family, in a Triton of its own, and what that needed."""
    server = Triton(repository, folder, TritonPorts.free(19000, 19001, 19002))
    try:
        server.start()
        server.wait_until_ready(_START_SECONDS, time.sleep)
        with triton_grpc.InferenceServerClient(server.grpc_url) as client:
            began = time.monotonic()
            client.load_model(kind)
            loaded = time.monotonic()
            pictures = {"picture": _paint(client, kind)}
            painted = time.monotonic()
            pictures |= {name: _paint(client, kind, **change) for name, change in _CONTROLS.items()}
        usage = server_usage()
    finally:
        server.stop()
    return pictures, {
        "loading, seconds": loaded - began,
        "picture, seconds": painted - loaded,
        **{f"{process}, peak GiB": each.peak_resident / _GIB for process, each in usage.items()},
    }


def _paint(client: triton_grpc.InferenceServerClient, kind: str, **change: Any) -> Picture:
    settings: dict[str, Any] = {
        "PROMPT": _PROMPT,
        "SEED": _SEED,
        "WIDTH": _SIZES[kind],
        "HEIGHT": _SIZES[kind],
        "STEPS": _STEPS,
        "GUIDANCE_SCALE": _GUIDANCE,
    } | change
    image: Picture = client.infer(kind, [_tensor(name, value) for name, value in settings.items()]).as_numpy("IMAGE")[0]
    return image


def _tensor(name: str, value: Any) -> triton_grpc.InferInput:
    kind = _TYPES.get(name, "BYTES")
    tensor = triton_grpc.InferInput(name, [1, 1], kind)
    tensor.set_data_from_numpy(np.array([[value.encode() if kind == "BYTES" else value]], _DTYPES[kind]))
    return tensor


def _is_large(repository: Path, kind: str) -> bool:
    version = repository / f"{kind}_unet" / "1"
    return (version / "model.onnx.data").stat().st_size > 2 * _GIB > (version / "model.onnx").stat().st_size
