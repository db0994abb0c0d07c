"""A family's models called as any client of Triton would call them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tritonclient.grpc as triton_grpc

TYPES = {
    "SEED": np.int64,
    "WIDTH": np.int32,
    "HEIGHT": np.int32,
    "STEPS": np.int32,
    "GUIDANCE_SCALE": np.float32,
    "GUIDANCE_RESCALE": np.float32,
    "GUIDANCE_INTERVAL": np.float32,
    "TIME_IDS": np.float32,
    "VARIATION_SEED": np.int64,
    "VARIATION_STRENGTH": np.float32,
    "PRIORITY": np.int32,
    "INPUT_IDS": np.int64,
    "PROMPT_EMBEDDINGS": np.float32,
    "PROMPT_EMBEDDINGS_2": np.float32,
    "PROMPT_POOLED": np.float32,
    "NEGATIVE_PROMPT_EMBEDDINGS": np.float32,
    "NEGATIVE_PROMPT_EMBEDDINGS_2": np.float32,
    "NEGATIVE_PROMPT_POOLED": np.float32,
    "INIT_MEAN": np.float32,
    "INIT_STD": np.float32,
    "MASKED_MEAN": np.float32,
    "MASKED_STD": np.float32,
    "LATENT_MASK": np.float32,
    "LATENTS": np.float32,
    "STRENGTH": np.float32,
    "INIT_IMAGE": np.uint8,
    "MASK": np.uint8,
    "IMAGE": np.uint8,
}
NAMES = {np.int64: "INT64", np.int32: "INT32", np.float32: "FP32", np.uint8: "UINT8"}


def tensor(name: str, value: Any) -> triton_grpc.InferInput:
    """An input of batch 1; texts become BYTES, everything else the type that the contract gives its name."""
    return tensors(name, [value])


def tensors(name: str, values: list[Any]) -> triton_grpc.InferInput:
    """An input of as many rows as there are values."""
    if isinstance(values[0], str | bytes):
        encoded = [[value.encode() if isinstance(value, str) else value] for value in values]
        array: npt.NDArray[Any] = np.array(encoded, np.object_)
        kind = "BYTES"
    else:
        array = np.stack([np.atleast_1d(np.asarray(value, TYPES[name])) for value in values])
        kind = NAMES[TYPES[name]]
    made = triton_grpc.InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array)
    return made


@dataclass(frozen=True, slots=True)
class Made:
    """A picture, UINT8 [H, W, 3], and what INFO says of it."""

    image: npt.NDArray[np.uint8]
    info: dict[str, Any]


@dataclass(slots=True)
class FamilyClient:
    """Calls one family; inputs are keyword arguments by their tensor names."""

    client: triton_grpc.InferenceServerClient
    family: str = "demo"
    timeout_seconds: float = 120.0
    text_encoders: tuple[str, ...] = ("",)
    kinds: tuple[str, ...] = ("", "_image_to_image", "_inpaint")

    def load(self) -> None:
        """Loads the ensembles with their steps, as the bridge does."""
        for ensemble in (f"{self.family}{kind}" for kind in self.kinds):
            if not self.client.is_model_ready(ensemble):
                self.client.load_model(ensemble)

    def picture(self, request_id: str = "", timeout_us: int | None = None, kind: str = "", **inputs: Any) -> Made:
        """One picture from the ensemble, or from that of another `kind`: image_to_image or inpaint."""
        ensemble = f"{self.family}_{kind}" if kind else self.family
        result = self._infer(ensemble, inputs, request_id, timeout_us)
        return Made(result.as_numpy("IMAGE")[0], json.loads(result.as_numpy("INFO")[0, 0]))

    def pictures(self, rows: list[dict[str, Any]]) -> list[Made]:
        """Pictures from the ensemble in one request; every row has the same inputs."""
        inputs = [tensors(name, [row[name] for row in rows]) for name in rows[0]]
        result = self.client.infer(self.family, inputs, client_timeout=self.timeout_seconds)
        images, infos = result.as_numpy("IMAGE"), result.as_numpy("INFO")
        return [Made(image, json.loads(info[0])) for image, info in zip(images, infos, strict=True)]

    def encoded(self, prompt: str, negative_prompt: str = "") -> dict[str, npt.NDArray[np.float32]]:
        """Both prompts as the UNet's inputs, from the tokenizer and the text encoders."""
        ids = self._infer(f"{self.family}_tokenizer", {"PROMPT": prompt, "NEGATIVE_PROMPT": negative_prompt})
        made: dict[str, npt.NDArray[np.float32]] = {}
        for part in self.text_encoders:
            for name in ("PROMPT", "NEGATIVE_PROMPT"):
                of_text = {"INPUT_IDS": ids.as_numpy(f"{name}_IDS{part}")[0]}
                encoded = self._infer(f"{self.family}_text_encoder{part}", of_text)
                made[f"{name}_EMBEDDINGS{part}"] = encoded.as_numpy("EMBEDDINGS")[0]
                pooled = encoded.as_numpy("POOLED")
                if pooled is not None:
                    made[f"{name}_POOLED"] = pooled[0]
        return made

    def masked(self, image: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        """An init image and a mask as the UNet's inputs, from the inpaint encoder."""
        encoded = self._infer(f"{self.family}_inpaint_encoder", {"IMAGE": image, "MASK": mask})
        names = {"INIT_MEAN": "MEAN", "INIT_STD": "STD"} | {
            name: name for name in ("MASKED_MEAN", "MASKED_STD", "LATENT_MASK")
        }
        return {name: encoded.as_numpy(output)[0] for name, output in names.items()}

    def latents(self, prompt: str, negative_prompt: str = "", **inputs: Any) -> npt.NDArray[np.float32]:
        """The final latents [4, h, w], from the family's models called one by one; `inputs` go before the encoded."""
        inputs = self.encoded(prompt, negative_prompt) | inputs
        latents: npt.NDArray[np.float32] = self._infer(f"{self.family}_unet", inputs).as_numpy("LATENTS")[0]
        return latents

    def decoded(self, latents: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
        """The picture [H, W, 3] of final latents."""
        image: npt.NDArray[np.uint8] = self._infer(f"{self.family}_vae_decoder", {"LATENTS": latents}).as_numpy(
            "IMAGE"
        )[0]
        return image

    def control(self, **order: Any) -> dict[str, Any]:
        """A control request to the UNet."""
        result = self._infer(f"{self.family}_unet", {"CONTROL": json.dumps(order)}, outputs=("STATUS",))
        status: dict[str, Any] = json.loads(result.as_numpy("STATUS")[0, 0])
        return status

    def _infer(
        self,
        model: str,
        inputs: dict[str, Any],
        request_id: str = "",
        timeout_us: int | None = None,
        outputs: tuple[str, ...] = (),
    ) -> triton_grpc.InferResult:
        return self.client.infer(
            model,
            [tensor(name, value) for name, value in inputs.items()],
            request_id=request_id,
            outputs=[triton_grpc.InferRequestedOutput(name) for name in outputs] or None,
            timeout=timeout_us,
            client_timeout=self.timeout_seconds,
        )
