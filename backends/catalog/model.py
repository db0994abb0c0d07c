"""The `catalog` model: tells what the model repository holds. Triton glue; `repository_catalog` does the reading."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from repository_catalog import read_catalog


class TritonPythonModel:
    """Answers QUERY BYTES [1] (a family's name, or "" for all) with CATALOG BYTES [1] (JSON).

    The repository is read on each query: families, upscalers and versions are listed whether or not Triton has loaded
    them.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Finds the repository: the folder that holds this model's own folder."""
        self._repository = Path(args["model_repository"]).parent

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request; a row of a batch is a query of its own."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        queries = pb_utils.get_input_tensor_by_name(request, "QUERY").as_numpy()
        try:
            rows = [self._row(query) for query in queries.reshape(-1)]
        except Exception as error:
            pb_utils.Logger.log_error(f"catalog: {error!r}")
            message = f"The model repository {self._repository} could not be read: {error}"
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(message))
        catalog = np.array(rows, dtype=np.object_).reshape(queries.shape)
        return pb_utils.InferenceResponse(output_tensors=[pb_utils.Tensor("CATALOG", catalog)])

    def _row(self, query: bytes) -> bytes:
        return json.dumps(read_catalog(self._repository, query.decode())).encode()
