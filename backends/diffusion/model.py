"""Triton's side of the diffusion backend: tensors in, tensors out; the work is the engine's.

The model is not decoupled: `execute` hands over and returns None, and a thread of its own later sends each request's
one response with FINAL (python_backend README, "Default Mode", since 24.06).
"""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from diffusion_engine import control
from diffusion_engine.condition import Text
from diffusion_engine.errors import EngineError, InvalidRequest
from diffusion_engine.init_image import INIT_TENSORS, init_images
from diffusion_engine.inputs import Inputs
from diffusion_engine.loading import load_engine
from diffusion_engine.parameters import integer
from diffusion_engine.picture import Family, Wishes
from diffusion_engine.request import FinishedPicture
from triton_metrics import MetricPublisher
from triton_responder import Responder

# Within the --exit-timeout-secs that Triton is started with here, 10.
_DRAIN_SECONDS = 8.0


class TritonPythonModel:
    """One version of one UNet, with its engine."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the graph and starts the engine; an error here fails the model's load with its sentence."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        self._name, self._version = args["model_name"], int(args["model_version"])
        self._family = Family.from_parameters(parameters)
        self._vae_scale_factor = integer(parameters, "vae_scale_factor")
        self._engine = load_engine(Path(pb_utils.get_model_dir()), parameters, self._family, _cache_folder())
        self._responder = Responder(self._engine)
        self._metrics = MetricPublisher(self._engine, self._name, self._version)
        self._engine.start()
        self._responder.start()
        self._metrics.start()

    def execute(self, requests: list[Any]) -> None:
        """Answers control requests at once and hands generations to the engine; never blocks."""
        for request in requests:
            sender = request.get_response_sender()
            try:
                self._take(request, sender)
            except EngineError as error:
                self._responder.refuse(sender, error)

    def finalize(self) -> None:
        """Drains: within the bound every generation gets its picture, beyond it its error."""
        self._engine.drain(_DRAIN_SECONDS)
        self._responder.stop()
        self._metrics.stop()

    def _take(self, request: Any, sender: Any) -> None:
        order = _array(request, "CONTROL")
        if order is not None:
            answer = control.answer(self._engine, order.reshape(-1)[0])
            tensors = [pb_utils.Tensor("STATUS", _texts([answer.status]))]
            if answer.preview is not None:
                tensors.append(pb_utils.Tensor("PREVIEW", answer.preview[None]))
            self._responder.reply(sender, tensors)
            return
        inputs = self._inputs(request)
        timeout = request.timeout() / 1e6
        deadline = time.monotonic() + timeout if timeout else None
        reply = self._responder.expect(request.request_id(), sender, self._tensors)
        try:
            self._engine.submit(reply.request_id, inputs, deadline, reply.answer, _reserve(request))
        except EngineError as error:
            reply.answer(error)

    def _inputs(self, request: Any) -> list[Inputs]:
        """One picture's inputs for each row of the request."""
        seeds, prompts = _array(request, "SEED"), _encoded(request, "PROMPT")
        if seeds is None or prompts is None:
            raise InvalidRequest("A generation needs SEED and PROMPT_EMBEDDINGS, a control request CONTROL.")
        negatives = _encoded(request, "NEGATIVE_PROMPT")
        inits = init_images({name: _array(request, name) for name in INIT_TENSORS})
        wishes = _wishes(request, seeds)
        if inits is not None:
            height, width = (length * self._vae_scale_factor for length in inits[0].posterior.mean.shape[1:])
            wishes = [replace(each, width=width, height=height) for each in wishes]
        pictures = [self._family.picture(each) for each in wishes]
        if len({(picture.width, picture.height) for picture in pictures}) > 1:
            raise InvalidRequest("WIDTH and HEIGHT must be the same in every row of one request.")
        return [
            Inputs(
                picture,
                prompts[row],
                None if negatives is None else negatives[row],
                None if inits is None else inits[row],
            )
            for row, picture in enumerate(pictures)
        ]

    def _tensors(self, pictures: list[FinishedPicture]) -> list[Any]:
        latents = np.stack([picture.latents for picture in pictures])
        info = [json.dumps(self._info(picture)).encode() for picture in pictures]
        return [pb_utils.Tensor("LATENTS", latents), pb_utils.Tensor("INFO", _texts(info))]

    def _info(self, finished: FinishedPicture) -> dict[str, object]:
        picture = finished.picture
        return {
            "model": self._name,
            "version": self._version,
            "sampler": picture.sampler,
            "steps": picture.steps,
            "evaluations": finished.evaluations,
            "seed": picture.seed,
            "guidance_scale": picture.guidance_scale,
            "width": picture.width,
            "height": picture.height,
            "waiting_ms": round(finished.waiting_ms, 3),
            "denoising_ms": round(finished.denoising_ms, 3),
            "mean_rows": round(finished.mean_rows, 3),
            "steps_waited": finished.steps_waited,
        }


def _cache_folder() -> Path:
    """Where measurements and engines of this machine are kept; nothing is written into the repository."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "starweave"


def _encoded(request: Any, prompt: str) -> list[Text] | None:
    """An encoded prompt for each row; a second encoder's embeddings lengthen those of the first."""
    parts = [_array(request, f"{prompt}_EMBEDDINGS"), _array(request, f"{prompt}_EMBEDDINGS_2")]
    given = [part for part in parts if part is not None]
    if not given:
        return None
    if len({part.shape[1] for part in given}) > 1:
        raise InvalidRequest(f"{prompt}_EMBEDDINGS and {prompt}_EMBEDDINGS_2 must be of equally many tokens.")
    pooled = _array(request, f"{prompt}_POOLED")
    return [
        Text(embeddings, None if pooled is None else pooled[row])
        for row, embeddings in enumerate(np.concatenate(given, axis=-1))
    ]


def _reserve(request: Any) -> float:
    """Seconds before its deadline by which a request wants its pictures: its parameter `reserve`, in microseconds."""
    reserve = json.loads(request.parameters() or "{}").get("reserve", 0)
    if not isinstance(reserve, int) or reserve < 0:
        raise InvalidRequest(f"The request parameter reserve is {reserve!r}; it must be microseconds, 0 or more.")
    return reserve / 1e6


def _wishes(request: Any, seeds: np.ndarray) -> list[Wishes]:
    """What each row of the request says; the arrays are [rows, 1] but for GUIDANCE_INTERVAL and TIME_IDS."""
    columns = {
        "width": _array(request, "WIDTH"),
        "height": _array(request, "HEIGHT"),
        "steps": _array(request, "STEPS"),
        "guidance_scale": _array(request, "GUIDANCE_SCALE"),
        "guidance_rescale": _array(request, "GUIDANCE_RESCALE"),
        "variation_seed": _array(request, "VARIATION_SEED"),
        "variation_strength": _array(request, "VARIATION_STRENGTH"),
        "priority": _array(request, "PRIORITY"),
    }
    strengths = _array(request, "STRENGTH")
    intervals = _array(request, "GUIDANCE_INTERVAL")
    samplers = _array(request, "SAMPLER")
    time_ids = _array(request, "TIME_IDS")
    return [
        Wishes(
            seed=int(seed[0]),
            guidance_interval=None if intervals is None else (float(intervals[row][0]), float(intervals[row][1])),
            # By its shortest decimal: 0.7 in FP32 is a little below 0.7, and of 10 steps 7 are meant, not 6.
            strength=None if strengths is None else float(str(strengths[row][0])),
            time_ids=None if time_ids is None else tuple(time_ids[row].tolist()),
            sampler=None if samplers is None else samplers[row][0].decode(errors="replace"),
            **{name: column[row][0].item() for name, column in columns.items() if column is not None},
        )
        for row, seed in enumerate(seeds)
    ]


def _array(request: Any, name: str) -> np.ndarray | None:
    """The named input, copied: Triton frees a request's tensors when `execute` returns."""
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy().copy()


def _texts(items: list[bytes]) -> np.ndarray:
    return np.array(items, dtype=np.object_).reshape(-1, 1)
