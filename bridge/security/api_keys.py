"""API keys: the bridge knows their SHA-256 only, which is enough for keys that are long and random."""

import hashlib
import hmac
import logging
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}) ([0-9a-f]{64})")
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key for a client, and the line of the bridge's key file that lets it in."""

    key: str
    line: str


def new_key(name: str) -> NewKey:
    """Makes a random key. Raises ValueError for a name that cannot stand in a key file."""
    key = f"starweave_{secrets.token_urlsafe(_KEY_BYTES)}"
    line = f"{name} {_digest(key)}"
    if not _LINE.fullmatch(line):
        raise ValueError(f"{name!r} is no name for a key; use up to 64 letters, digits, dots, dashes and underscores.")
    return NewKey(key, line)


class ApiKeys:
    """The keys of a file with one `name sha256` a line; `#` begins a comment.

    A changed file takes effect at once; one that has become unreadable leaves the keys as they were.
    """

    def __init__(self, file: Path) -> None:
        """Raises OSError or ValueError where the file cannot be used."""
        self._file = file
        self._changed_at = file.stat().st_mtime_ns
        self._names = _read(file)

    def name_of(self, key: str) -> str | None:
        """The name of a key, None where it is unknown. Takes as long whichever it is, and whether it is one."""
        self._follow()
        digest = _digest(key)
        found: str | None = None
        for known, name in self._names.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found

    def _follow(self) -> None:
        try:
            changed_at = self._file.stat().st_mtime_ns
            if changed_at != self._changed_at:
                self._changed_at = changed_at
                self._names = _read(self._file)
                logger.info("The key file has changed: %d keys.", len(self._names))
        except (OSError, ValueError) as error:
            logger.error("The key file cannot be read; the keys stay as they were: %s", error)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _read(file: Path) -> dict[str, str]:
    """Names by digest."""
    names: dict[str, str] = {}
    for number, line in enumerate(file.read_text().splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"Line {number} of {file} is not `name sha256`; `starweave api-key NAME` makes such lines."
            )
        names[match[2]] = match[1]
    if not names:
        raise ValueError(f"{file} holds no keys; `starweave api-key NAME` makes one.")
    return names
