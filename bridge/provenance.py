"""Who asked for a picture, and how its prompt came about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict

from protos import starweave_pb2


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a picture's request says beyond what the model gets.

    `prompt` is the user's own text; `template` and `experiment` name what made the prompt that was sent of it, empty
    where nothing did. `request` is the whole request as JSON values, without the pictures that it brought.
    """

    user_id: str = ""
    prompt: str = ""
    style: str = ""
    quality: str = ""
    template: str = ""
    experiment: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: starweave_pb2.ImageRequest) -> "Provenance":
        """The provenance of a request whose prompt is sent as it is."""
        document = MessageToDict(request, preserving_proto_field_name=True)
        for picture in ("init_image", "mask_image"):
            document.pop(picture, None)
        return cls(
            user_id=request.user_id,
            prompt=request.prompt,
            style=request.settings.style,
            quality=request.settings.quality,
            request=document,
        )
