"""The export of one checkpoint as a family of models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export import graphs
from export.checkpoint import Checkpoint
from export.ensembles import ensembles
from export.family_parameters import FamilyParameters
from export.graphs import Graph, Sample
from export.loading import load
from export.model_configs import PARTS, catalog, composing_models, to_text
from export.options import ExportOptions
from export.repository import CONFIG, Repository
from export.tokenizer import write_tokenizers
from export.tracing import trace
from export.verification import Comparison, compare

_GRAPHS: Final[Mapping[str, Callable[[Checkpoint], Graph]]] = {
    "text_encoder": graphs.text_encoder,
    "text_encoder_2": graphs.text_encoder_2,
    "unet": graphs.unet,
    "vae_decoder": graphs.vae_decoder,
    "vae_encoder": graphs.vae_encoder,
    "inpaint_encoder": graphs.inpaint_encoder,
}
# Git keeps no empty folders, and these models' version folders hold nothing.
_PLACEHOLDER: Final = ".gitkeep"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote: the family, its new and now active version, its models, and how close the graphs are."""

    family: str
    version: int
    repository: Path
    models: tuple[str, ...]
    comparisons: tuple[Comparison, ...]


def export_family(options: ExportOptions, report: Callable[[str], None]) -> ExportReport:
    """Writes the family into the repository, as version 1 or the next one, and makes that version the active one.

    `report` is told in sentences what is being done. Raises an ExportError, with the repository as it was.
    """
    options.check()
    repository = Repository(options.repository)
    with repository.staging() as staged:
        report(f"Loading {options.checkpoint}.")
        checkpoint = load(options)
        version = repository.next_version([f"{options.name}_{part}" for part in PARTS])
        parameters = FamilyParameters.derive(checkpoint, options, version)
        parts = composing_models(checkpoint, parameters)
        fronts = ensembles(checkpoint, parameters)
        active = repository.active_version(options.name, fronts[-1].name)
        for config in (*parts.values(), *fronts):
            repository.check_compatible(config)
        comparisons: list[Comparison] = []
        for part, config in parts.items():
            comparisons += _write_part(part, checkpoint, parameters, _stage(config, version, staged), report)

        others = (catalog(), *fronts)
        for config in others:
            (_stage(config, 1, staged) / _PLACEHOLDER).touch()
        versioned = [config.name for config in parts.values()]
        if active is not None:
            # A killed export may have left some ensembles at a version that would be taken out below.
            repository.activate(staged, [config.name for config in fronts], active)
        repository.install(staged, versioned, [config.name for config in others], active)
    report(f"Version {version} of {options.name} is in {options.repository} and active.")
    models = (*versioned, *(config.name for config in fronts))
    return ExportReport(options.name, version, options.repository, models, tuple(comparisons))


def _stage(config: ModelConfig, version: int, staged: Path) -> Path:
    """Writes the model's configuration and returns its empty version folder."""
    folder: Path = staged / config.name / str(version)
    folder.mkdir(parents=True)
    (folder.parent / CONFIG).write_text(to_text(config), encoding="utf-8")
    return folder


def _write_part(
    part: str, checkpoint: Checkpoint, parameters: FamilyParameters, folder: Path, report: Callable[[str], None]
) -> list[Comparison]:
    """Fills the version folder of one model, and compares its graph, where it has one, with the checkpoint."""
    if part == "tokenizer":
        write_tokenizers(checkpoint.tokenizers, folder)
        return []
    graph = _GRAPHS[part](checkpoint)
    path = folder / "model.onnx"
    report(f"Writing {part}.")
    small = Sample(2, parameters.min_size, parameters.min_size + parameters.size_multiple, windows=2)
    trace(graph, path, small)
    if part == "unet":
        document = json.dumps(checkpoint.scheduler_config, indent=2, sort_keys=True)
        (folder / "scheduler_config.json").write_text(f"{document}\n", encoding="utf-8")
    native = Sample(2, parameters.native_width, parameters.native_height, windows=1)
    comparisons = []
    for comparison in compare(part, graph, path, (native, replace(small, batch=3))):
        report(f"Compared {comparison}.")
        comparisons.append(comparison)
    return comparisons
