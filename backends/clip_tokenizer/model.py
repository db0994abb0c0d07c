"""Triton's side of the clip_tokenizer backend: PROMPT and NEGATIVE_PROMPT to ids for the text encoder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from clip_windows import ClipWindows, InvalidPrompt


class TritonPythonModel:
    """One version of one tokenizer."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads tokenizer.json from the version folder; an error here fails the model's load with its sentence."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._windows = ClipWindows.load(Path(pb_utils.get_model_dir()) / "tokenizer.json", parameters)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request by itself, so that a prompt that is no text fails no other."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        prompts = _texts(request, "PROMPT") or []
        negatives = _texts(request, "NEGATIVE_PROMPT") or [b""] * len(prompts)
        try:
            # Both at once, because the UNet takes both embeddings in one batch: they need as many windows.
            ids = self._windows.encode([*prompts, *negatives])
        except InvalidPrompt as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        tensors = [
            pb_utils.Tensor("PROMPT_IDS", ids[: len(prompts)]),
            pb_utils.Tensor("NEGATIVE_PROMPT_IDS", ids[len(prompts) :]),
        ]
        if "DROPPED" in request.requested_output_names():
            dropped = [
                [self._windows.dropped(text).encode() for text in texts]
                for texts in zip(prompts, negatives, strict=True)
            ]
            tensors.append(pb_utils.Tensor("DROPPED", np.array(dropped, np.object_)))
        return pb_utils.InferenceResponse(tensors)


def _texts(request: Any, name: str) -> list[bytes] | None:
    """The input [rows, 1] as a list, or None where the request leaves it out."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return None
    array: np.ndarray = tensor.as_numpy()
    return list(array.reshape(-1))
