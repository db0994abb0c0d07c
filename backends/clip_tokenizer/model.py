"""Triton's side of the clip_tokenizer backend: PROMPT and NEGATIVE_PROMPT to ids for the text encoders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from clip_windows import ClipWindows, InvalidPrompt, encode

# What the files and tensors of each tokenizer have behind their names; SDXL has two.
_PARTS = ("", "_2")
# Ids that the text encoder makes zeros of.
_ZEROS = -1


class TritonPythonModel:
    """One version of a family's tokenizers."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the version folder's tokenizers; an error here fails the model's load with its sentence."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        files = {part: Path(pb_utils.get_model_dir()) / f"tokenizer{part}.json" for part in _PARTS}
        self._tokenizers = {
            part: ClipWindows.load(file, parameters, part) for part, file in files.items() if not part or file.is_file()
        }
        self._zeros_for_empty = parameters.get("zeros_for_empty_prompt") == "true"

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers each request by itself, so that a prompt that is no text fails no other."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        prompts = _texts(request, "PROMPT") or []
        negatives = _texts(request, "NEGATIVE_PROMPT") or [b""] * len(prompts)
        try:
            # Both at once, because the UNet takes both embeddings in one batch: they need as many windows.
            encoded = encode(list(self._tokenizers.values()), [*prompts, *negatives])
        except InvalidPrompt as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        tensors = []
        for part, ids in zip(self._tokenizers, encoded, strict=True):
            positive, negative = ids[: len(prompts)], ids[len(prompts) :]
            if self._zeros_for_empty:
                negative[[not text for text in negatives]] = _ZEROS
            tensors.append(pb_utils.Tensor(f"PROMPT_IDS{part}", positive))
            tensors.append(pb_utils.Tensor(f"NEGATIVE_PROMPT_IDS{part}", negative))
        if "DROPPED" in request.requested_output_names():
            # By the first tokenizer: those of a checkpoint cut texts into the same tokens.
            first = self._tokenizers[""]
            dropped = [
                [first.dropped(text).encode() for text in texts] for texts in zip(prompts, negatives, strict=True)
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
