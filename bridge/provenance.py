"""Who asked for a picture, and with which words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict

from protos import starweave_pb2


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a picture's request says beyond what the model gets.

    `request` is the whole request as JSON values, without the pictures that it brought.
    """

    user_id: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, request: starweave_pb2.ImageRequest) -> "Provenance":
        """The provenance of a request."""
        document = MessageToDict(request, preserving_proto_field_name=True)
        for picture in ("init_image", "mask_image"):
            document.pop(picture, None)
        return cls(request.user_id, document)
