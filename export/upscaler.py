"""The export of one super-resolution checkpoint as a model of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.compatibility import check_compatible
from export.config_text import CONFIG, to_text
from export.errors import IncompatibleFamily
from export.model_configs import MAX_BATCH_SIZE, catalog, upscaler
from export.reach import measure_reach
from export.repository import Change, Repository
from export.upscaler_checkpoint import UpscalerCheckpoint
from export.upscaler_graph import write_graph
from export.verification import Comparison

# Git keeps no empty folders, and the catalog's version folder holds nothing.
_PLACEHOLDER: Final = ".gitkeep"


@dataclass(frozen=True, slots=True)
class UpscalerReport:
    """What an export wrote: the model, its new and now active version, and how close the graph is.

    `reach` is how far around a pixel the network looks, in pixels before upscaling.
    """

    model: str
    version: int
    reach: int
    repository: Path
    comparisons: tuple[Comparison, ...]


def export_upscaler(path: Path, repository: Path, report: Callable[[str], None]) -> UpscalerReport:
    """Writes the checkpoint at `path` into the repository as `upscaler_x<factor>`, version 1 or the next one.

    A repository has one upscaler for each factor; the new version becomes the active one. `report` is told in sentences
    what is being done. Raises an ExportError, with the repository as it was.
    """
    target = Repository(repository)
    with target.staging() as staged:
        report(f"Loading {path}.")
        checkpoint = UpscalerCheckpoint.load(path)
        name = f"upscaler_x{checkpoint.factor}"
        active = _active_version(target, name)
        version = max(target.versions(name), default=0) + 1
        folder = staged / name / str(version)
        folder.mkdir(parents=True)
        report(f"Writing {name}.")
        written = write_graph(checkpoint, folder / "model.onnx", report)
        report("Measuring how far it looks.")
        reach = measure_reach(checkpoint.network, checkpoint.size_multiple, checkpoint.smallest_tile)
        smallest = checkpoint.largest_tile if written.one_shape else checkpoint.smallest_tile
        parameters = {
            "upscale_factor": str(checkpoint.factor),
            "version": str(version),
            "architecture": checkpoint.architecture,
            "source": checkpoint.source,
            "reach": str(reach),
            "smallest_tile": str(smallest),
            "largest_tile": str(checkpoint.largest_tile),
            "tile_multiple": str(checkpoint.size_multiple),
        }
        config, listing = upscaler(name, parameters, 1 if written.one_shape else MAX_BATCH_SIZE), catalog()
        check_compatible(target, [config])
        _check_batch_size(target, config)
        (staged / listing.name / "1").mkdir(parents=True)
        (staged / listing.name / "1" / _PLACEHOLDER).touch()
        for each in (config, listing):
            (staged / each.name / CONFIG).write_text(to_text(each), encoding="utf-8")
        with Change.of(target, staged) as change:
            # No Triton starts without the catalog.
            change.add_model(listing.name)
            for old in target.versions(name) - {active}:
                change.remove_version(name, old)
            change.add_version(name, version)
            # What makes the version the active one comes last.
            change.write_config(config)
    report(f"Version {version} of {name} is in {repository} and active; its tiles overlap by {reach} pixels and more.")
    return UpscalerReport(name, version, reach, repository, written.comparisons)


def _active_version(repository: Repository, name: str) -> int | None:
    config: ModelConfig | None = repository.config(name)
    if config is None:
        return None
    version = config.parameters["version"].string_value if "version" in config.parameters else ""
    if "upscale_factor" not in config.parameters or not version.isdecimal():
        raise IncompatibleFamily(
            f"The repository {str(repository.path)!r} holds a model {name!r} that is no upscaler; remove it first."
        )
    return int(version)


def _check_batch_size(repository: Repository, config: ModelConfig) -> None:
    existing = repository.config(config.name)
    if existing is not None and existing.max_batch_size != config.max_batch_size:
        raise IncompatibleFamily(
            f"The repository's {config.name} takes batches of {existing.max_batch_size} tiles, this checkpoint's of "
            f"{config.max_batch_size}, and all versions of a model take the same; remove {config.name} first."
        )
