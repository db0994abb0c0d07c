"""Further versions of a family, each with weights of its own, made without training or export."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from export.config_text import CONFIG
from export.deployment import Deployment, keep_ensembles

GRAPH: Final = "model.onnx"
# Of the spread of a weight's values: enough that even another version's text encoder alone shows in a picture.
_NOISE: Final = 0.3


def stage_other_version(deployment: Deployment, staged: Path, number: int) -> None:
    """Stages a copy of the active version whose every graph has other weights, drawn from `number`."""
    for model in deployment.models:
        source = deployment.repository.path / model
        shutil.copytree(source / str(deployment.active), staged / model / str(number))
        shutil.copy(source / CONFIG, staged / model / CONFIG)
        graph = staged / model / str(number) / GRAPH
        if graph.exists():
            _perturb(graph, number)
    shutil.rmtree(staged / f"{deployment.family}_unet" / str(number) / "ensembles", ignore_errors=True)
    ensembles = [config for config in map(deployment.repository.config, deployment.ensembles) if config is not None]
    keep_ensembles(staged, deployment.family, number, ensembles)


def _perturb(graph: Path, seed: int) -> None:
    model = onnx.load(graph)
    random = np.random.default_rng(seed)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            noise = random.normal(scale=_NOISE * float(values.std()), size=values.shape)
            tensor.CopyFrom(numpy_helper.from_array(values + noise.astype(np.float32), tensor.name))
    onnx.save(model, graph)
