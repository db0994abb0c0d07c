"""A real Triton for one backend's models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc
from tritonclient.utils import np_to_triton_dtype

from standalone.triton import Triton, TritonPorts

START_SECONDS = 120.0
ANSWER_SECONDS = 60.0


@contextmanager
def serve(folder: Path, *models: str) -> Iterator[triton_grpc.InferenceServerClient]:
    """Starts Triton with the `model_repository` in `folder` and these of its models, and gives a client of it."""
    server = Triton(folder / "model_repository", folder, TritonPorts.free(18000, 18001, 18002), models)
    try:
        server.start()
        server.wait_until_ready(START_SECONDS, time.sleep)
        with triton_grpc.InferenceServerClient(server.grpc_url) as client:
            yield client
    finally:
        server.stop()


def inputs(**arrays: npt.NDArray[np.generic]) -> list[triton_grpc.InferInput]:
    """The arrays as a request's inputs, the batch axis first."""
    tensors = []
    for name, array in arrays.items():
        tensor = triton_grpc.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


def infer(
    client: triton_grpc.InferenceServerClient, model: str, **arrays: npt.NDArray[np.generic]
) -> dict[str, npt.NDArray[np.generic]]:
    """One request, answered with all outputs; raises InferenceServerException."""
    result = client.infer(model, inputs(**arrays), client_timeout=ANSWER_SECONDS)
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}
