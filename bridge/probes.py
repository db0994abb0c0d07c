"""Asks single model processes for a sign of life, by the smallest inference that each kind of model answers."""

import asyncio
import json
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from bridge.errors import BridgeError, DeadlineExceeded, ModelProcessDied, ModelUnavailable
from bridge.residency import Residency, Resident
from bridge.triton import CATALOG_MODEL, Tensors, Triton
from bridge.upscalers import ResidentUpscaler

_EMPTY_TEXT = np.array([[b""]], np.object_)
_STATUS_ORDER = np.array([[json.dumps({"op": "status", "ids": []}).encode()]], np.object_)
# What is sent to a model named <family>_<key>, and the output that is asked for. The text encoder is not among them:
# only its tokenizer knows how many ids a window has.
_PROBES: dict[str, tuple[Tensors, str]] = {
    "unet": ({"CONTROL": _STATUS_ORDER}, "STATUS"),
    "vae_decoder": ({"LATENTS": np.zeros((1, 4, 8, 8), np.float32)}, "IMAGE"),
    "vae_encoder": ({"IMAGE": np.zeros((1, 64, 64, 3), np.uint8)}, "MEAN"),
    "inpaint_encoder": (
        {"IMAGE": np.zeros((1, 64, 64, 3), np.uint8), "MASK": np.zeros((1, 64, 64, 1), np.uint8)},
        "MEAN",
    ),
}


class Outcome(Enum):
    """What a probe found."""

    ANSWERED = auto()
    LATE = auto()
    DEAD = auto()
    # Not loaded at the moment, such as during a change of versions, or Triton is gone: no process to judge.
    ABSENT = auto()


@dataclass(frozen=True, slots=True)
class ModelProcess:
    """One version of a model; each has a process of its own in Triton. `version` None: the only one."""

    model: str
    version: int | None


class Prober:
    """Sends probes; each has `timeout` seconds."""

    def __init__(self, triton: Triton, timeout: float) -> None:
        self._triton = triton
        self._timeout = timeout

    async def is_live(self) -> bool:
        """Tells whether Triton itself answers."""
        return await self._triton.is_live(self._timeout)

    async def catalog(self) -> dict[ModelProcess, Outcome]:
        """Probes the catalog model."""
        process = ModelProcess(CATALOG_MODEL, None)
        return {process: await self._probe(process, {"QUERY": _EMPTY_TEXT}, "CATALOG")}

    async def resident(self, resident: Resident) -> dict[ModelProcess, Outcome]:
        """Probes every loaded version of every model of what Triton has loaded."""
        match resident:
            case Residency():
                return await self._family(resident)
            case ResidentUpscaler():
                return await self._upscaler(resident)
        raise TypeError(f"There is no probe for {type(resident).__name__}.")

    async def _family(self, residency: Residency) -> dict[ModelProcess, Outcome]:
        name = residency.family.name
        processes = [
            ModelProcess(model, version) for model, versions in residency.versions.items() for version in versions
        ]
        kinds = {process: process.model.removeprefix(f"{name}_") for process in processes}
        tokenizers = [process for process, kind in kinds.items() if kind == "tokenizer"]
        others = [process for process, kind in kinds.items() if kind in _PROBES]
        found = await asyncio.gather(
            *(self._text(process, ModelProcess(f"{name}_text_encoder", process.version)) for process in tokenizers),
            *(self._single(process, kinds[process]) for process in others),
        )
        return {process: outcome for outcomes in found for process, outcome in outcomes.items()}

    async def _upscaler(self, resident: ResidentUpscaler) -> dict[ModelProcess, Outcome]:
        side = resident.upscaler.rule.smallest
        tile = {"IMAGE": np.zeros((1, side, side, 3), np.uint8)}
        processes = [ModelProcess(resident.upscaler.name, version) for version in resident.versions]
        outcomes = await asyncio.gather(*(self._probe(process, tile, "UPSCALED") for process in processes))
        return dict(zip(processes, outcomes, strict=True))

    async def _single(self, process: ModelProcess, kind: str) -> dict[ModelProcess, Outcome]:
        return {process: await self._probe(process, *_PROBES[kind])}

    async def _text(self, tokenizer: ModelProcess, text_encoder: ModelProcess) -> dict[ModelProcess, Outcome]:
        """Probes a tokenizer and feeds its answer to the text encoder of the same version."""
        try:
            outputs = await self._triton.infer(
                tokenizer.model,
                {"PROMPT": _EMPTY_TEXT},
                ["PROMPT_IDS"],
                version=tokenizer.version,
                timeout=self._timeout,
            )
        except BridgeError as error:
            return {tokenizer: _outcome(error)}
        ids = {"INPUT_IDS": outputs["PROMPT_IDS"]}
        return {
            tokenizer: Outcome.ANSWERED,
            text_encoder: await self._probe(text_encoder, ids, "EMBEDDINGS"),
        }

    async def _probe(self, process: ModelProcess, inputs: Tensors, output: str) -> Outcome:
        try:
            await self._triton.infer(process.model, inputs, [output], version=process.version, timeout=self._timeout)
        except BridgeError as error:
            return _outcome(error)
        return Outcome.ANSWERED


def _outcome(error: BridgeError) -> Outcome:
    match error:
        case ModelProcessDied():
            return Outcome.DEAD
        case DeadlineExceeded():
            return Outcome.LATE
        case ModelUnavailable():
            return Outcome.ABSENT
    # Any other error is an answer too: the process is there to give it.
    return Outcome.ANSWERED
