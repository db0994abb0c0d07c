"""The export of one checkpoint as a family of models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tritonclient.grpc.model_config_pb2 import ModelConfig

from export.checkpoint import Checkpoint
from export.compatibility import check_compatible
from export.config_text import CONFIG, to_text
from export.deployment import Deployment, install_family, keep_ensembles
from export.ensembles import ensembles
from export.errors import IncompatibleFamily
from export.family_parameters import FamilyParameters
from export.gpu_configs import TENSORRT_ROWS, aim_cuda, aim_tensorrt, check_target
from export.graph_writer import GraphWriter
from export.loading import load
from export.model_configs import PARTS, catalog, composing_models
from export.options import ExportOptions
from export.progress import Bar, Report, no_bar
from export.quality import Quality
from export.repository import Repository
from export.staged_version import StagedVersion
from export.target import Target
from export.tensorrt_plan import PlanBuilder
from export.tokenizer import write_tokenizers
from export.verification import Comparison

# Git keeps no empty folders, and these models' version folders hold nothing.
_PLACEHOLDER: Final = ".gitkeep"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote: the family, its new version, its models, and how close to torch they are.

    `active` is the version that makes the pictures: the new one where it is the family's first.
    """

    family: str
    version: int
    active: int
    repository: Path
    models: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    quality: Quality | None


def export_family(options: ExportOptions, report: Report, bar: Bar = no_bar) -> ExportReport:
    """Writes the family into the repository as version 1, which serves at once, or as the next one.

    A further version waits beside the active one until it is activated. `report` is told in sentences what is being
    done, `bar` goes around what takes long. Raises an ExportError, with the repository as it was.
    """
    options.check()
    # Before gigabytes are loaded.
    plans = PlanBuilder.find() if options.target is Target.TENSORRT else None
    repository = Repository(options.repository)
    with repository.staging() as staged:
        report(f"Loading {options.checkpoint}.")
        with bar(f"Loading {options.checkpoint}"):
            checkpoint = load(options)
        names = [f"{options.name}_{part}" for part in PARTS]
        # One more than any version that is there: numbers are not used twice.
        version = max((number for name in names for number in repository.versions(name)), default=0) + 1
        parameters = FamilyParameters.derive(checkpoint, options, version)
        parts = composing_models(checkpoint, parameters)
        fronts = ensembles(checkpoint, parameters)
        configs = (*parts.values(), *fronts)
        writer = GraphWriter(checkpoint, parameters, options.precision)
        if options.target is Target.CUDA:
            aim_cuda(configs)
        elif options.target is Target.TENSORRT:
            aim_tensorrt(configs, writer.shapes("unet", *TENSORRT_ROWS), options.precision)
        deployment = Deployment.find(repository, options.name)
        check_compatible(repository, configs)
        if options.target is not Target.CPU:
            # On the CPU's the operator may have set another provider since.
            check_target(repository, configs)
        if deployment is not None:
            _check_models(deployment, configs)
        folders = {part: _stage(config, version, staged) for part, config in parts.items()}
        comparisons: list[Comparison] = []
        for part, folder in folders.items():
            comparisons += _write_part(part, writer, checkpoint, folder, report, bar)
        staged_version = StagedVersion(options, checkpoint, parameters, writer, folders, plans)
        quality = staged_version.finish(comparisons, report, bar)
        keep_ensembles(staged, options.name, version, fronts)

        models = tuple(config.name for config in parts.values())
        if deployment is None:
            others = (catalog(), *fronts)
            for config in others:
                (_stage(config, 1, staged) / _PLACEHOLDER).touch()
            install_family(repository, staged, [config.name for config in others], models)
        else:
            # What a killed activation left half done is repaired first.
            deployment.activate(staged, deployment.active)
            deployment.add(staged, version)
    active = version if deployment is None else deployment.active
    standing = "active" if active == version else f"waits there to be activated; version {active} is active"
    report(f"Version {version} of {options.name} is in {options.repository} and {standing}.")
    names = [*models, *(config.name for config in fronts)]
    return ExportReport(options.name, version, active, options.repository, tuple(names), tuple(comparisons), quality)


def _check_models(deployment: Deployment, configs: Sequence[ModelConfig]) -> None:
    """Raises IncompatibleFamily where the family there is made of other models: versions share their ensembles."""
    there, needed = {*deployment.models, *deployment.ensembles}, {config.name for config in configs}
    if there != needed:
        raise IncompatibleFamily(
            f"The family {deployment.family!r} in the repository differs from this checkpoint's in its models "
            f"({', '.join(sorted(there ^ needed))}); export the checkpoint under another name."
        )


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
        write_tokenizers(checkpoint.tokenizers, folder)
        return []
    if part == "unet":
        document = json.dumps(checkpoint.scheduler_config, indent=2, sort_keys=True)
        (folder / "scheduler_config.json").write_text(f"{document}\n", encoding="utf-8")
    return writer.write(part, folder / "model.onnx", report, bar)
