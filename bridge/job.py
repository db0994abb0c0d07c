"""A picture that has been accepted, and where it is being made."""

from dataclasses import dataclass, field

from bridge.deadline import Deadline
from bridge.generation import Generation
from bridge.provenance import Provenance
from bridge.recovery.fallback import FallbackReason
from bridge.residency import Residency
from bridge.security.caller import Caller
from bridge.triton import Tensors
from bridge.upscalers import ResidentUpscaler
from protos import starweave_pb2


@dataclass(frozen=True, slots=True)
class Job:
    """A valid wish, the tensors of the pictures it starts from, and the loaded family that is to fulfil it.

    `request` is what the wish was read from, `provenance` what is kept of it; `fallback` tells why the family is not
    the one that it asks for, `merit` why it was taken where the request leaves that open. `upscaler` is what enlarges
    the picture where that is asked for.
    """

    request: starweave_pb2.ImageRequest
    caller: Caller
    deadline: Deadline
    generation: Generation
    residency: Residency
    fallback: FallbackReason | None = None
    pictures: Tensors = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)
    merit: str = ""
    upscaler: ResidentUpscaler | None = None


@dataclass(slots=True)
class Place:
    """The family that makes a picture at the moment, the id that its engine knows it by, and since when (monotonic).

    All change when the picture is begun again: an engine remembers the ids that were cancelled.
    """

    residency: Residency
    generation_id: str
    sent_at: float = 0.0
