"""`config.pbtxt`: a model's configuration as text."""

from __future__ import annotations

from typing import Final

from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

CONFIG: Final = "config.pbtxt"


def to_text(config: ModelConfig) -> str:
    """The message in the form of a `config.pbtxt`."""
    return text_format.MessageToString(config, as_utf8=True)


def from_text(text: str) -> ModelConfig:
    """Parses a `config.pbtxt`; raises `google.protobuf.text_format.ParseError`."""
    return text_format.Parse(text, ModelConfig())
