"""The bridge's only door to Triton: one pooled gRPC client, with Triton's failures as the bridge's errors."""

import asyncio
import json
import re
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from bridge.errors import (
    BridgeError,
    DeadlineExceeded,
    GenerationCancelled,
    GenerationFailed,
    InvalidRequest,
    ModelNotLoaded,
    ModelProcessDied,
    ModelUnavailable,
    TooLate,
    WaitingRoomFull,
)
from bridge.families import Family

Tensors = Mapping[str, NDArray[np.generic]]

CATALOG_MODEL = "catalog"

_CHANNEL_OPTIONS = [
    # A picture crosses as raw pixels.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # Triton is local and may be restarted: gRPC's default backs off for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
# Triton's ensemble scheduler puts its own name before a step's message.
_ENSEMBLE_PREFIX = re.compile(r"^in ensemble '[^']*', ")
# Parts of messages that tell apart what Triton gives the same status: of its python backend, and of the diffusion
# backend's engine (WaitingRoomFull, DeadlineUnreachable, DeadlineExceeded).
_DEAD_STUB = "Stub process"
_ROOM_FULL = "pictures are waiting"
_TOO_LATE = re.compile(r"may take up to ([\d.]+) s,")
_DEADLINE_EXCEEDED = "deadline exceeded"
# The reason of a version that was unloaded because it was asked for.
_UNLOADED = "unloaded"
# How long a call that nobody waits for may go on where Triton does not end it, and how long a bridge that stops waits.
_LEFT_SECONDS = 60.0
_CLOSING_SECONDS = 2.0
# The diffusion backend's request parameter, microseconds.
_RESERVE = "reserve"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What Triton has loaded: the versions of each model, and the reasons for those that it could not load."""

    ready: Mapping[str, tuple[int, ...]]
    failures: Mapping[tuple[str, int], str]

    def versions_of(self, family: Family) -> dict[str, tuple[int, ...]]:
        """The loaded versions of each of a family's models."""
        return {model: self.ready.get(model, ()) for model in family.models}


class Triton:
    """One Triton server, over one gRPC channel that all requests share."""

    def __init__(self, url: str) -> None:
        self._client = InferenceServerClient(url, channel_args=_CHANNEL_OPTIONS)
        self._left: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Closes the channel; requests under way are cancelled, those that nobody waits for after some seconds."""
        if self._left:
            await asyncio.wait(self._left, timeout=_CLOSING_SECONDS)
        await self._client.close()
        await asyncio.gather(*self._left, return_exceptions=True)

    async def is_live(self, timeout: float) -> bool:
        """Tells whether Triton itself answers within `timeout` seconds."""
        try:
            return bool(await self._client.is_server_live(client_timeout=timeout))
        except InferenceServerException:
            return False

    async def infer(
        self,
        model: str,
        inputs: Tensors,
        outputs: Sequence[str],
        *,
        version: int | None = None,
        request_id: str = "",
        queue_timeout: float | None = None,
        reserve: float = 0.0,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Runs one request and returns those of the named outputs that the model gave, batch dimension included.

        `queue_timeout` seconds are what the model itself may take (Triton's request parameter `timeout`); an engine
        lets in only what it expects `reserve` seconds earlier. `timeout` seconds bound the call; `headers` tell Triton
        which trace the request belongs to. Who is cancelled meanwhile leaves the request to end by itself: the engine
        is told by a control request. Raises one of the bridge's errors.
        """
        tensors = []
        for name, array in inputs.items():
            tensor = InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        try:
            result = await self._ended(
                self._client.infer(
                    model,
                    tensors,
                    model_version="" if version is None else str(version),
                    outputs=[InferRequestedOutput(name) for name in outputs],
                    request_id=request_id,
                    timeout=None if queue_timeout is None else max(1, round(queue_timeout * 1e6)),
                    client_timeout=timeout,
                    headers=dict(headers or {}),
                    parameters={_RESERVE: round(reserve * 1e6)} if reserve else None,
                )
            )
        except InferenceServerException as error:
            raise _translate(error) from error
        arrays = ((name, result.as_numpy(name)) for name in outputs)
        # Triton leaves out of its answer, without an error, what the model did not give.
        return {name: array for name, array in arrays if array is not None}

    async def _ended(self, call: Coroutine[Any, Any, Any]) -> Any:
        """The call's answer; the call outlives a caller that is cancelled.

        Triton up to 25.01 may crash where the cancel of a gRPC call meets its end (server#7368, server#8034).
        """
        task = asyncio.create_task(call)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            self._left.add(task)
            task.add_done_callback(self._forget)
            limit = asyncio.get_running_loop().call_later(_LEFT_SECONDS, task.cancel)
            task.add_done_callback(lambda _: limit.cancel())
            raise
        return task.result()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        # Nobody waits for how it ended; asyncio would complain.
        if not task.cancelled():
            task.exception()

    async def control(self, unet: str, version: int, order: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Sends a control request, such as `{"op": "cancel", "ids": [..]}`, to one version of a UNet model."""
        outputs = await self.infer(unet, _control(order), ["STATUS"], version=version, timeout=timeout)
        return _document(outputs["STATUS"])

    async def preview(
        self, unet: str, version: int, request_id: str, timeout: float
    ) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
        """Asks one version of a UNet model how a generation stands and what its final latents [1,C,h,w] may be.

        There are no latents before the first step and when the generation is not, or no longer, in the model.
        """
        order = _control({"op": "preview", "id": request_id})
        outputs = await self.infer(unet, order, ["STATUS", "PREVIEW"], version=version, timeout=timeout)
        return _document(outputs["STATUS"]), outputs.get("PREVIEW")

    async def catalog(self, timeout: float) -> dict[str, Any]:
        """Asks the `catalog` model for all families of the repository."""
        inputs = {"QUERY": np.array([[b""]], np.object_)}
        outputs = await self.infer(CATALOG_MODEL, inputs, ["CATALOG"], timeout=timeout)
        return _document(outputs["CATALOG"])

    async def config(self, model: str, version: int, timeout: float) -> dict[str, Any]:
        """A model's configuration as Triton serves it, in protobuf's JSON form."""
        try:
            answer = await self._client.get_model_config(model, str(version), as_json=True, client_timeout=timeout)
        except InferenceServerException as error:
            raise _translate(error) from error
        config: dict[str, Any] = answer["config"]
        return config

    async def holdings(self, timeout: float) -> Holdings:
        """Which versions of each model Triton has loaded, and which it could not load."""
        try:
            index = await self._client.get_model_repository_index(client_timeout=timeout)
        except InferenceServerException as error:
            raise _translate(error) from error
        ready: dict[str, tuple[int, ...]] = {}
        failures: dict[tuple[str, int], str] = {}
        for model in index.models:
            if model.state == "READY":
                ready[model.name] = (*ready.get(model.name, ()), int(model.version))
            elif model.state == "UNAVAILABLE" and model.version and model.reason not in ("", _UNLOADED):
                failures[model.name, int(model.version)] = model.reason
        return Holdings(ready, failures)

    async def load(self, model: str) -> None:
        """Loads a model, an ensemble with its steps, or takes over what has changed; may take minutes."""
        try:
            await self._client.load_model(model)
        except InferenceServerException as error:
            raise _translate(error) from error

    async def unload(self, model: str) -> None:
        """Unloads an ensemble and its steps once their requests have ended."""
        try:
            await self._client.unload_model(model, unload_dependents=True)
        except InferenceServerException as error:
            raise _translate(error) from error


def _control(order: Mapping[str, Any]) -> Tensors:
    return {"CONTROL": np.array([[json.dumps(order).encode()]], np.object_)}


def _document(array: NDArray[Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(array.reshape(-1)[0])
    return document


def _translate(error: InferenceServerException) -> BridgeError:
    """Makes one of the bridge's errors of Triton's status and message."""
    message = _ENSEMBLE_PREFIX.sub("", error.message() or "")
    match error.status():
        case _ if _DEAD_STUB in message:
            return ModelProcessDied("The process of a model has ended; try again when it has been started again.")
        case "StatusCode.INVALID_ARGUMENT":
            return InvalidRequest(message)
        case "StatusCode.CANCELLED":
            return GenerationCancelled("The picture was cancelled before it was finished.")
        case "StatusCode.DEADLINE_EXCEEDED":
            return DeadlineExceeded("The model server did not answer in time.")
        case "StatusCode.NOT_FOUND":
            return ModelNotLoaded("The model is not loaded at the moment; try again in a few seconds.", message)
        case "StatusCode.UNAVAILABLE" if message.startswith(_DEADLINE_EXCEEDED):
            return DeadlineExceeded("The time limit passed before the picture was finished.")
        case "StatusCode.UNAVAILABLE" if _ROOM_FULL in message:
            return WaitingRoomFull(message)
        case "StatusCode.UNAVAILABLE" if too_late := _TOO_LATE.search(message):
            return TooLate(message, float(too_late[1]))
        case "StatusCode.UNAVAILABLE":
            return ModelUnavailable("The model server is not available; try again in a few seconds.", message)
        case _:
            return GenerationFailed("The picture could not be made: the model server failed.", message)
