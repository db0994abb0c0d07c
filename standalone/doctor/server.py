"""Whether a running server makes pictures."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from protos import starweave_pb2
from standalone.client import MODELS, SERVICE, Health, connect, explain, health, image_service
from standalone.doctor.finding import Finding

_SUBJECT = "Server"
_LIST_SECONDS = 10.0
_PICTURE_SECONDS = 60.0
# What a server that works says to one picture too many, or to one without a key.
_REFUSALS = (
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


def examine(address: str) -> Iterator[Finding]:
    """Asks the server at `address` (host:port) for its health, its models and a picture of one step."""
    with connect(address) as channel:
        service, models = health(channel, SERVICE), health(channel, MODELS)
        if Health.UNREACHABLE in (service, models):
            yield Finding.wrong(
                _SUBJECT,
                f"No image server answers at {address}: start one with `starweave serve`, or name another "
                "with --address.",
            )
            return
        if models is Health.NOT_SERVING:
            yield Finding.wrong(
                _SUBJECT,
                f"The bridge at {address} says that a model process of its Triton has died, or Triton itself: Triton "
                "must be started again, which `starweave serve`, Compose and Kubernetes do by themselves.",
            )
        elif service is not Health.SERVING:
            yield Finding.wrong(
                _SUBJECT,
                f"The bridge at {address} runs and no model is loaded: they are still loading, cannot be loaded, or "
                "Triton does not answer at STARWEAVE_TRITON_URL; the bridge's log says which.",
            )
        try:
            yield from _models(channel)
            if service is Health.SERVING:
                yield _picture(channel)
        except grpc.RpcError as error:
            said = f"{error.details()} ({error.code().name})"
            if error.code() in _REFUSALS:
                yield Finding.note(_SUBJECT, f"The server works, and refused a picture for this check: {said}.")
            else:
                yield Finding.wrong(_SUBJECT, explain(error, address).message)


def _models(channel: grpc.Channel) -> Iterator[Finding]:
    listed = image_service(channel).GetImageModels(starweave_pb2.ModelRequest(), timeout=_LIST_SECONDS).models
    for model in listed:
        status = model.parameters["status"]
        if status == "ready":
            yield Finding.well(_SUBJECT, f"The model {model.id} is ready, version {model.parameters['version']}.")
        else:
            yield Finding.note(_SUBJECT, f"The model {model.id} is not ready: {status}.")


def _picture(channel: grpc.Channel) -> Finding:
    request = starweave_pb2.ImageRequest(
        prompt="a test picture", settings=starweave_pb2.ImageSettings(steps=1, guidance_scale=1, seed=0)
    )
    call = image_service(channel).GenerateImage.with_call
    response, ended = call(request, timeout=_PICTURE_SECONDS)
    codes = [value for key, value in ended.trailing_metadata() or () if key == "starweave-error-code"]
    if codes and codes[0] in {refusal.name for refusal in _REFUSALS}:
        return Finding.note(_SUBJECT, f"The server works, and refused a picture for this check: {response.error}")
    if response.error:
        return Finding.wrong(_SUBJECT, f"A picture of one step failed: {response.error}")
    return Finding.well(_SUBJECT, f"A picture of one step took {response.metadata.generation_time_ms} ms.")
