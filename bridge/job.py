"""A picture that has been accepted, and where it is being made."""

from dataclasses import dataclass, field

from bridge.deadline import Deadline
from bridge.generation import Generation
from bridge.recovery.fallback import FallbackReason
from bridge.residency import Residency
from bridge.security.caller import Caller
from bridge.triton import Tensors
from protos import starweave_pb2


@dataclass(frozen=True, slots=True)
class Job:
    """A valid wish, the tensors of the pictures it starts from, and the loaded family that is to fulfil it.

    `request` is what the wish was read from; `fallback` tells why the family is not the one that it asks for.
    """

    request: starweave_pb2.ImageRequest
    caller: Caller
    deadline: Deadline
    generation: Generation
    residency: Residency
    fallback: FallbackReason | None = None
    pictures: Tensors = field(default_factory=dict)


@dataclass(slots=True)
class Place:
    """The family that makes a picture at the moment, and the id that its engine knows it by.

    Both change when the picture is begun again: an engine remembers the ids that were cancelled.
    """

    residency: Residency
    generation_id: str
