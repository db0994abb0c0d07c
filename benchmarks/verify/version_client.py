"""Pictures of one version of a family, made by its models one by one: what the version makes, whatever is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc
from tritonclient.utils import np_to_triton_dtype

from protos import starweave_pb2

_PARTS = ("tokenizer", "text_encoder", "unet", "vae_decoder")
_SECONDS = 300.0

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class VersionClient:
    """Calls the models of one version of a family at Triton's gRPC service.

    `encoder_version` is that of the text encoder alone, for a picture as it must not be: mixed of two versions.
    """

    client: triton_grpc.InferenceServerClient
    family: str
    version: int
    encoder_version: int | None = None

    def is_loaded(self) -> bool:
        """Whether Triton has loaded this version of the models that a picture takes."""
        return all(self.client.is_model_ready(f"{self.family}_{part}", str(self.version)) for part in _PARTS)

    def picture(self, request: starweave_pb2.ImageRequest) -> npt.NDArray[np.uint8]:
        """The picture [h, w, 3] of a request that sets its size, steps, guidance scale, seed and sampler."""
        settings = request.settings
        ids = self._infer(
            "tokenizer",
            {"PROMPT": _text(request.prompt), "NEGATIVE_PROMPT": _text("")},
            ("PROMPT_IDS", "NEGATIVE_PROMPT_IDS"),
        )
        prompt, negative = (self._infer("text_encoder", {"INPUT_IDS": each}, ("EMBEDDINGS",))[0] for each in ids)
        (latents,) = self._infer(
            "unet",
            {
                "PROMPT_EMBEDDINGS": prompt,
                "NEGATIVE_PROMPT_EMBEDDINGS": negative,
                "SEED": np.array([[settings.seed]], np.int64),
                "WIDTH": np.array([[settings.width]], np.int32),
                "HEIGHT": np.array([[settings.height]], np.int32),
                "STEPS": np.array([[settings.steps]], np.int32),
                "GUIDANCE_SCALE": np.array([[settings.guidance_scale]], np.float32),
                "SAMPLER": _text(settings.sampler),
            },
            ("LATENTS",),
        )
        (picture,) = self._infer("vae_decoder", {"LATENTS": latents}, ("IMAGE",))
        pixels: npt.NDArray[np.uint8] = picture[0]
        return pixels

    def _infer(self, part: str, inputs: dict[str, Array], outputs: tuple[str, ...]) -> list[Array]:
        tensors = []
        for name, array in inputs.items():
            tensor = triton_grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        version = (self.encoder_version or self.version) if part == "text_encoder" else self.version
        result = self.client.infer(
            f"{self.family}_{part}",
            tensors,
            model_version=str(version),
            outputs=[triton_grpc.InferRequestedOutput(name) for name in outputs],
            client_timeout=_SECONDS,
        )
        return [result.as_numpy(name) for name in outputs]


def _text(text: str) -> Array:
    return np.array([[text.encode()]], np.object_)
