"""Whether a checkpoint can become another version of the family that has its name."""

from __future__ import annotations

from collections.abc import Iterable

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.errors import IncompatibleFamily
from export.model_configs import WEIGHT_PARAMETERS
from export.repository import Repository


def check_compatible(repository: Repository, configs: Iterable[ModelConfig]) -> None:
    """Raises IncompatibleFamily where a model of the repository needs another config: all its versions share one."""
    for config in configs:
        existing = repository.config(config.name)
        if existing is not None:
            _check(config, existing)


def _check(config: ModelConfig, existing: ModelConfig) -> None:
    if (config.backend, config.platform) != (existing.backend, existing.platform):
        raise IncompatibleFamily(
            f"The repository's {config.name} runs on {existing.backend or existing.platform}, this checkpoint's on "
            f"{config.backend or config.platform}; export the checkpoint under another name."
        )
    for ours, theirs in ((config.input, existing.input), (config.output, existing.output)):
        if list(ours) != list(theirs):
            raise IncompatibleFamily(
                f"The repository's {config.name} has other tensors than this checkpoint needs; "
                "export the checkpoint under another name."
            )
    for key in WEIGHT_PARAMETERS:
        if key in config.parameters and config.parameters[key] != existing.parameters[key]:
            raise IncompatibleFamily(
                f"The repository's {config.name} has the {key} {existing.parameters[key].string_value!r}, this "
                f"checkpoint {config.parameters[key].string_value!r}; export the checkpoint under another name."
            )
