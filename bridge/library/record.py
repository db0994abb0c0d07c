"""What the library keeps of one finished picture, apart from its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One picture as it was answered.

    `id` is the request id of the answer, `created_at` Unix time in milliseconds. `prompt_given` is the user's text,
    `prompt` what the tokenizer got. `fingerprint` is the catalog's of the family (the export's hash), `space` that of
    its text encoder: prompts are comparable within one. `settings` is what else the picture was made with. `repeat_key`
    is equal for requests that get the same picture; `repeat_of` is the id of the picture that this one repeats, or
    empty. `blob` is the SHA-256 of the bytes in hexadecimal, `size` their number, `format` their media type.
    """

    id: str
    created_at: int
    user_id: str
    requested_model: str
    family: str
    version: int
    fingerprint: str
    space: str
    capability: str
    prompt_given: str
    prompt: str
    negative_prompt: str
    style: str
    quality: str
    template: str
    experiment: str
    seed: int
    width: int
    height: int
    generation_ms: int
    repeat_key: str
    repeat_of: str
    blob: str
    format: str
    size: int
    settings: Mapping[str, str] = field(default_factory=dict)
    debug_info: Mapping[str, str] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Record":
        """A record of values by their names, such as a row of the database; others are left aside.

        Raises KeyError where one is absent.
        """
        return cls(**{name: values[name] for name in _FIELDS})

    def as_mapping(self) -> dict[str, Any]:
        """The values by their names, fit for JSON."""
        return {name: getattr(self, name) for name in _FIELDS}


_FIELDS = tuple(field.name for field in fields(Record))


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture with what the library keeps of it."""

    record: Record
    data: bytes


@dataclass(frozen=True, slots=True)
class Rating:
    """How good somebody found a picture: `stars` 1 to 5; `rated_at` is Unix time in milliseconds."""

    stars: int
    comment: str
    rated_at: int


@dataclass(frozen=True, slots=True)
class LibraryImage:
    """A picture of the library: `number` grows in the order in which pictures were recorded."""

    number: int
    record: Record
    rating: Rating | None
