"""The files that a checkpoint was loaded from, by their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download

from export.progress import Bar

# What a diffusers folder is read from, by the endings of names.
_READ: Final = (".json", ".txt", ".safetensors", ".bin")


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint: its name for people, and the SHA-256 of each of its files by its path inside."""

    name: str
    sha256: Mapping[str, str]

    @classmethod
    def of(cls, name: str, checkpoint: str, bar: Bar) -> Source:
        """Hashes the files of a checkpoint: a folder, a single file, or an id on the Hub that was fetched before."""
        path = Path(checkpoint)
        if path.is_file():
            files = {path.name: path}
        else:
            folder = path if path.is_dir() else Path(snapshot_download(checkpoint, local_files_only=True))
            files = {file.relative_to(folder).as_posix(): file for file in _checkpoint_files(folder)}
        hashes = {}
        with bar("Hashing the checkpoint", len(files)) as advance:
            for inside, file in files.items():
                hashes[inside] = sha256(file)
                advance()
        return cls(name, hashes)


def sha256(file: Path) -> str:
    """The file's hash in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _checkpoint_files(folder: Path) -> list[Path]:
    """The folder's index and the files of its components; nothing else that may lie about in it."""
    components = [file for file in folder.glob("*/*") if file.is_file() and file.suffix in _READ]
    return sorted([folder / "model_index.json", *components])
