"""`export.json` in each version folder: where the version comes from, and how close to torch it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from export.json_text import json_text
from export.quality import Quality
from export.source import Source, sha256
from export.verification import Comparison

FILE: Final = "export.json"
_PACKAGES: Final = ("diffusers", "numpy", "onnx", "onnxruntime", "safetensors", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Record:
    """What one export knows about one model of the family; `built_with` is the builder of TensorRT plans."""

    source: Source
    family: str
    version: int
    part: str
    target: str
    built_with: str | None
    precision: str | None
    comparisons: tuple[Comparison, ...]
    quality: Quality | None

    def write(self, folder: Path) -> None:
        """Writes the document into the version folder, whose other files it hashes."""
        document = {
            **asdict(self),
            "sha256": {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.is_file()},
            "packages": {name: version(name) for name in _PACKAGES},
        }
        (folder / FILE).write_text(f"{json_text(document)}\n", encoding="utf-8")
