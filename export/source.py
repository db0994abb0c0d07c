"""The files that a checkpoint was loaded from, its replacements and additions too, by their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huggingface_hub import snapshot_download

from export.options import ExportOptions
from export.progress import Bar

# What a diffusers folder is read from, by the endings of names.
_READ: Final = (".json", ".txt", ".safetensors", ".bin")


@dataclass(frozen=True, slots=True)
class VaeSource:
    """A VAE in place of the checkpoint's own: its folder's, file's or Hub's name, and the SHA-256 of its files."""

    name: str
    sha256: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LoraSource:
    """A LoRA in the weights: its file's name and SHA-256, and how strongly it was added."""

    name: str
    weight: float
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """A checkpoint: its name for people, and the SHA-256 of each of its files by its path inside.

    `vae` is None where the checkpoint's own is used.
    """

    name: str
    sha256: Mapping[str, str]
    vae: VaeSource | None
    loras: tuple[LoraSource, ...]

    @classmethod
    def of(cls, name: str, options: ExportOptions, bar: Bar) -> Source:
        """Hashes the files that the options name: folders, single files, and ids on the Hub, fetched before."""
        files = _files(options.checkpoint, _checkpoint_files)
        vae_files = {} if options.vae is None else _files(options.vae, _vae_files)
        with bar("Hashing the checkpoint", len(files) + len(vae_files) + len(options.loras)) as advance:

            def hashed(file: Path) -> str:
                found = sha256(file)
                advance()
                return found

            hashes = {inside: hashed(file) for inside, file in files.items()}
            vae = None
            if options.vae is not None:
                # Only an id has a meaning elsewhere than on this machine.
                vae_name = Path(options.vae).resolve().name if Path(options.vae).exists() else options.vae
                vae = VaeSource(vae_name, {inside: hashed(file) for inside, file in vae_files.items()})
            loras = tuple(LoraSource(lora.file.name, lora.weight, hashed(lora.file)) for lora in options.loras)
        return cls(name, hashes, vae, loras)


def sha256(file: Path) -> str:
    """The file's hash in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _files(source: str, inside: Callable[[Path], Iterable[Path]]) -> dict[str, Path]:
    """A single file, or what is read of a folder, by its path inside."""
    path = Path(source)
    if path.is_file():
        return {path.name: path}
    folder = path if path.is_dir() else Path(snapshot_download(source, local_files_only=True))
    return {file.relative_to(folder).as_posix(): file for file in sorted(inside(folder))}


def _checkpoint_files(folder: Path) -> Iterable[Path]:
    """The folder's index and the files of its components; nothing else that may lie about in it."""
    return [folder / "model_index.json", *_read(folder, "*/*")]


def _vae_files(folder: Path) -> Iterable[Path]:
    """The files of a VAE's own folder, or of the VAE in a checkpoint's."""
    return _read(folder, "vae/*") if (folder / "vae").is_dir() else _read(folder, "*")


def _read(folder: Path, pattern: str) -> list[Path]:
    return [file for file in folder.glob(pattern) if file.is_file() and file.suffix in _READ]
