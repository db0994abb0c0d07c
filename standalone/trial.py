"""One picture on a version that is not active yet, in a Triton of its own: what serves is not touched by it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton_grpc
from numpy.typing import NDArray
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from export.config_text import CONFIG, to_text
from export.deployment import Deployment
from standalone.errors import VersionRefused
from standalone.triton import Triton, TritonPorts

READY_SECONDS = 120.0
PICTURE_SECONDS = 600.0


def try_version(deployment: Deployment, number: int, folder: Path) -> None:
    """Loads a complete version of a family and makes a picture with it; `folder` must be new, and is left behind.

    Raises:
        VersionRefused: it cannot be loaded, or makes no picture.
        UnsupportedMachine: no Triton can run here.
        StartFailed: Triton did not start.
    """
    configs = deployment.configs(number)
    repository = folder / "model_repository"
    for config in configs:
        _lay_out(repository / config.name, config, deployment.repository.path / config.name / str(number))
    triton = Triton(repository, folder / "triton", TritonPorts.free(), load=())
    try:
        triton.start()
        triton.wait_until_ready(READY_SECONDS, time.sleep)
        with triton_grpc.InferenceServerClient(triton.grpc_url) as client:
            for ensemble in deployment.ensembles:
                client.load_model(ensemble)
            picture = _make_picture(client, configs[-1])
    except InferenceServerException as error:
        # Behind the first line is the model's stack.
        reason = (error.message() or "").partition("\n")[0]
        raise VersionRefused(f"Version {number} of {deployment.family} failed its trial: {reason}") from error
    finally:
        triton.kill()
    if picture.min() == picture.max():
        raise VersionRefused(
            f"Version {number} of {deployment.family} failed its trial: its picture is of one single colour, as broken "
            "weights make it. Export it again."
        )


def _lay_out(model: Path, config: ModelConfig, version: Path) -> None:
    """Makes a model that has that one version, or an ensemble."""
    model.mkdir(parents=True)
    (model / CONFIG).write_text(to_text(config), encoding="utf-8")
    if version.is_dir() and not config.HasField("ensemble_scheduling"):
        (model / version.name).symlink_to(version.absolute())
    else:
        (model / "1").mkdir()


def _make_picture(client: triton_grpc.InferenceServerClient, ensemble: ModelConfig) -> NDArray[np.uint8]:
    """The smallest picture that the family makes, in one step [h, w, 3]."""
    side = int(ensemble.parameters["min_size"].string_value)
    values: Mapping[str, NDArray[Any]] = {
        "PROMPT": np.array([[b"a test picture"]], np.object_),
        "SEED": np.zeros((1, 1), np.int64),
        "STEPS": np.ones((1, 1), np.int32),
        "WIDTH": np.full((1, 1), side, np.int32),
        "HEIGHT": np.full((1, 1), side, np.int32),
        "INIT_IMAGE": np.full((1, side, side, 3), 127, np.uint8),
        "MASK": np.full((1, side, side, 1), 255, np.uint8),
        "STRENGTH": np.ones((1, 1), np.float32),
    }
    tensors = []
    for name in (tensor.name for tensor in ensemble.input if tensor.name in values):
        tensor = triton_grpc.InferInput(name, values[name].shape, np_to_triton_dtype(values[name].dtype))
        tensor.set_data_from_numpy(values[name])
        tensors.append(tensor)
    result = client.infer(ensemble.name, tensors, client_timeout=PICTURE_SECONDS)
    picture: NDArray[np.uint8] = result.as_numpy("IMAGE")[0]
    return picture
