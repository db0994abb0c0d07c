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
        bare = starweave_pb2.ImageRequest()
        bare.CopyFrom(request)
        # Before they would become base64.
        bare.ClearField("init_image")
        bare.ClearField("mask_image")
        return cls(request.user_id, MessageToDict(bare, preserving_proto_field_name=True))
