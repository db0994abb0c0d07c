"""The export of one checkpoint as a family of models."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.checkpoint import Checkpoint
from export.ensembles import ensembles
from export.family_parameters import FamilyParameters
from export.gpu_configs import TENSORRT_ROWS, aim_cuda, aim_tensorrt
from export.graph_writer import GraphWriter
from export.model_configs import PARTS, catalog, composing_models, to_text
from export.options import ExportOptions
from export.progress import Bar, Report, no_bar
from export.quality import Quality
from export.repository import CONFIG, Repository
from export.staged_version import StagedVersion
from export.target import Target
from export.tensorrt_plan import PlanBuilder
from export.tokenizer import write_tokenizer
from export.verification import Comparison

# Git keeps no empty folders, and these models' version folders hold nothing.
_PLACEHOLDER: Final = ".gitkeep"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote: the family, its new and now active version, its models, and how close to torch they are."""

    family: str
    version: int
    repository: Path
    models: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    quality: Quality | None


def export_family(options: ExportOptions, report: Report, bar: Bar = no_bar) -> ExportReport:
    """Writes the family into the repository, as version 1 or the next one, and makes that version the active one.

    `report` is told in sentences what is being done, `bar` goes around what takes long. Raises an ExportError, with the
    repository as it was.
    """
    options.check()
    # Before gigabytes are loaded.
    plans = PlanBuilder.find() if options.target is Target.TENSORRT else None
    repository = Repository(options.repository)
    with repository.staging() as staged:
        report(f"Loading {options.checkpoint}.")
        with bar(f"Loading {options.checkpoint}"):
            checkpoint = Checkpoint.load(options.checkpoint)
        version = repository.next_version([f"{options.name}_{part}" for part in PARTS])
        parameters = FamilyParameters.derive(checkpoint, options, version)
        parts = composing_models(checkpoint, parameters)
        fronts = ensembles(parameters)
        writer = GraphWriter(checkpoint, parameters, options.precision)
        if options.target is Target.CUDA:
            aim_cuda(parts.values())
        elif options.target is Target.TENSORRT:
            aim_tensorrt((*parts.values(), *fronts), writer.shapes("unet", *TENSORRT_ROWS), options.precision)
        active = repository.active_version(options.name, fronts[-1].name)
        for config in (*parts.values(), *fronts):
            repository.check_compatible(config)
        folders = {part: _stage(config, version, staged) for part, config in parts.items()}
        comparisons: list[Comparison] = []
        for part, folder in folders.items():
            comparisons += _write_part(part, writer, checkpoint, folder, report, bar)
        staged_version = StagedVersion(options, checkpoint, parameters, writer, folders, plans)
        quality = staged_version.finish(comparisons, report, bar)

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
    return ExportReport(options.name, version, options.repository, models, tuple(comparisons), quality)


def _stage(config: ModelConfig, version: int, staged: Path) -> Path:
    """Writes the model's configuration and returns its empty version folder."""
    folder: Path = staged / config.name / str(version)
    folder.mkdir(parents=True)
    (folder.parent / CONFIG).write_text(to_text(config), encoding="utf-8")
    return folder


def _write_part(
    part: str, writer: GraphWriter, checkpoint: Checkpoint, folder: Path, report: Report, bar: Bar
) -> list[Comparison]:
    """Fills the version folder of one model, and compares its graph, where it has one, with the checkpoint."""
    if part == "tokenizer":
        write_tokenizer(checkpoint.tokenizer, folder / "tokenizer.json")
        return []
    if part == "unet":
        document = json.dumps(checkpoint.scheduler_config, indent=2, sort_keys=True)
        (folder / "scheduler_config.json").write_text(f"{document}\n", encoding="utf-8")
    return writer.write(part, folder / "model.onnx", report, bar)
