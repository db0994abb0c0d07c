"""A family to be measured, and where it is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from benchmarks.loads import Sizes


@dataclass(frozen=True, slots=True)
class Server:
    """Where a running pair listens, as host:port, and the repository that it serves."""

    repository: Path
    triton_url: str
    bridge_address: str


@dataclass(frozen=True, slots=True)
class Family:
    """A family's name, the diffusers folder it was exported from, and what its configuration says."""

    name: str
    checkpoint: Path
    native_size: int
    default_steps: int
    tokens: int

    @classmethod
    def read(cls, repository: Path, name: str, checkpoint: Path) -> Family:
        """Reads version 1 of the family from its repository."""
        ensemble = _parameters(repository / name / "config.pbtxt")
        tokenizer = _parameters(repository / f"{name}_tokenizer" / "config.pbtxt")
        return cls(
            name=name,
            checkpoint=checkpoint,
            native_size=int(ensemble["native_width"]),
            default_steps=int(ensemble["default_steps"]),
            tokens=int(tokenizer["window"]),
        )

    @property
    def sizes(self) -> Sizes:
        """The native size, and twice that."""
        return Sizes(self.native_size, 2 * self.native_size)


def _parameters(path: Path) -> dict[str, str]:
    config = text_format.Parse(path.read_text(), ModelConfig())
    return {key: value.string_value for key, value in config.parameters.items()}
