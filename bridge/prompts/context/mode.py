"""How much of a conversation goes into a prompt."""

from enum import StrEnum

from bridge.errors import InvalidRequest
from bridge.validation import shown


class ContextMode(StrEnum):
    """LIGHT takes over what the prompt refers to and what was wished for; STRONG what was talked of as well."""

    OFF = "off"
    LIGHT = "light"
    STRONG = "strong"


def read_mode(text: str, default: ContextMode) -> ContextMode:
    """The mode that a request names, `default` where it names none. Raises InvalidRequest for an unknown one."""
    if not text:
        return default
    try:
        return ContextMode(text.casefold())
    except ValueError:
        raise InvalidRequest(f"context_mode is {shown(text)}; it must be one of {', '.join(ContextMode)}.") from None
