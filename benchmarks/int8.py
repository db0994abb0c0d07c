"""Whether a UNet in INT8 pays on a CPU: `python -m benchmarks.int8`, on the demo family as it is checked in.

ONNX Runtime's static quantisation (QDQ; convolutions and matrix products; weights per channel), calibrated on the
latents of real pictures. Speed is CPU time of single-threaded steps, which other load on the machine changes little.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.results import Machine, now
from export.checkpoint import Checkpoint
from export.contact_sheet import write_contact_sheet
from export.demo_family import CHECKPOINT, REPOSITORY
from export.quality import QualityCheck

_RESULTS: Final = Path(__file__).resolve().parent / "results"
_STEPS, _GUIDANCE = 8, 5.0
_RUNS: Final = 15
_ROWS: Final = (2, 8)
_UNET_INPUTS: Final = ("sample", "timestep", "encoder_hidden_states")

Feeds = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Figures:
    """One UNet: its file, CPU milliseconds of a step by rows, and its pictures against torch's, prompt by prompt."""

    mebibytes: float
    step_milliseconds: dict[int, float]
    psnr: list[float]
    ssim: list[float]


class _Recorded(CalibrationDataReader):
    """Hands out the inputs that the UNet was called with."""

    def __init__(self, calls: list[Feeds]) -> None:
        self._calls: Iterator[Feeds] = iter(calls)

    def get_next(self) -> Any:
        return next(self._calls, None)


def measure(folder: Path) -> tuple[dict[str, Figures], list[Any]]:
    """Quantises into the folder and measures both; the pairs of pictures are the INT8 ones."""
    graphs = {
        part: REPOSITORY / f"demo_{part}" / "1" / "model.onnx" for part in ("text_encoder", "unet", "vae_decoder")
    }
    check, calls = _recorded(graphs)
    prepared, quantised = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(graphs["unet"], prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        quantised,
        _Recorded(calls),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    unets = {"fp32": graphs["unet"], "int8": quantised}
    steps = _steps(unets, calls[0])
    figures, pairs = {}, []
    for name, unet in unets.items():
        quality, pairs = check.run({**graphs, "unet": unet}, lambda: None)
        likenesses = [painted.similarity for painted in quality.prompts]
        figures[name] = Figures(
            unet.stat().st_size / 2**20,
            steps[name],
            [each.psnr for each in likenesses],
            [each.ssim for each in likenesses],
        )
    return figures, pairs


def _recorded(graphs: Mapping[str, Path]) -> tuple[QualityCheck, list[Feeds]]:
    """The check, and the inputs of every step that its pictures take in torch."""
    checkpoint = Checkpoint.load(str(CHECKPOINT))
    check, calls = QualityCheck(checkpoint, _STEPS, _GUIDANCE), []

    def record(module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = dict(zip(_UNET_INPUTS, arguments, strict=False)) | {
            name: named[name] for name in _UNET_INPUTS if name in named
        }
        timestep = torch.as_tensor(given["timestep"], dtype=torch.float32).expand(len(given["sample"]))
        calls.append({name: tensor.numpy() for name, tensor in (given | {"timestep": timestep}).items()})

    hook = checkpoint.unet.register_forward_pre_hook(record, with_kwargs=True)
    check.run(graphs, lambda: None)
    hook.remove()
    return check, calls


def _steps(unets: Mapping[str, Path], call: Feeds) -> dict[str, dict[int, float]]:
    """The fastest of some runs of each, taken by turns."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {name: onnxruntime.InferenceSession(str(unet), options) for name, unet in unets.items()}
    found: dict[str, dict[int, float]] = {name: {} for name in unets}
    for rows in _ROWS:
        feeds = {name: np.resize(array, (rows, *array.shape[1:])) for name, array in call.items()}
        seconds: dict[str, list[float]] = {name: [] for name in unets}
        for _ in range(_RUNS):
            for name, session in sessions.items():
                before = time.process_time()
                session.run(None, feeds)
                seconds[name].append(time.process_time() - before)
        for name, times in seconds.items():
            found[name][rows] = 1000 * min(times)
    return found


def _markdown(figures: Mapping[str, Figures], machine: Machine) -> str:
    lines = [
        "# INT8 on the CPU",
        "",
        f"`python -m benchmarks.int8` on {machine.processor}; ONNX Runtime {machine.packages['onnxruntime']}. The "
        f"demo's UNet, {_STEPS} steps, calibrated on the very pictures that are then compared with torch's; a step's "
        "CPU time on one thread.",
        "",
        "| | MiB | " + " | ".join(f"{rows} rows, ms" for rows in _ROWS) + " | PSNR dB, mean (worst) | SSIM, mean |",
        "|---|---|" + "---|" * len(_ROWS) + "---|---|",
    ]
    for name, each in figures.items():
        times = " | ".join(f"{each.step_milliseconds[rows]:.0f}" for rows in _ROWS)
        likeness = f"{statistics.mean(each.psnr):.1f} ({min(each.psnr):.1f}) | {statistics.mean(each.ssim):.3f}"
        lines.append(f"| {name} | {each.mebibytes:.1f} | {times} | {likeness} |")
    return "\n".join([*lines, "", "![reference beside INT8](int8.png)", ""])


@click.command()
@click.option("--results", type=click.Path(path_type=Path), default=_RESULTS, help="Folder for the report.")
def main(results: Path) -> None:
    """Measure, and write int8.json, int8.md and int8.png."""
    machine, began = Machine.here(), now()
    with tempfile.TemporaryDirectory() as folder:
        figures, pairs = measure(Path(folder))
    results.mkdir(parents=True, exist_ok=True)
    document = {
        "began": str(began),
        "machine": asdict(machine),
        "figures": {name: asdict(each) for name, each in figures.items()},
    }
    (results / "int8.json").write_text(json.dumps(document, indent=1) + "\n")
    (results / "int8.md").write_text(_markdown(figures, machine))
    write_contact_sheet(pairs, results / "int8.png")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.int8")
