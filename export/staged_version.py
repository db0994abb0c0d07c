"""A version whose graphs are written: what is left to do before it enters the repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from export.checkpoint import Checkpoint
from export.contact_sheet import write_contact_sheet
from export.family_parameters import FamilyParameters
from export.gpu_configs import TENSORRT_BATCH
from export.graph_writer import GraphWriter
from export.options import ExportOptions
from export.precision import Precision
from export.progress import Bar, Report
from export.quality import Quality, QualityCheck
from export.record import Record
from export.source import Source
from export.tensorrt_plan import PlanBuilder
from export.verification import Comparison

# Beside the UNet's graph.
_CONTACT_SHEET: Final = "contact_sheet.png"


@dataclass(frozen=True, slots=True)
class StagedVersion:
    """One version of a family outside the repository.

    `folders` are the version folders of its parts; with `plans` the graphs of all but the UNet become TensorRT plans.
    """

    options: ExportOptions
    checkpoint: Checkpoint
    parameters: FamilyParameters
    writer: GraphWriter
    folders: Mapping[str, Path]
    plans: PlanBuilder | None

    def finish(self, comparisons: Sequence[Comparison], report: Report, bar: Bar) -> Quality | None:
        """Paints and compares, where the options say so, builds plans, and leaves a record in every folder."""
        quality = self._assess(report, bar) if self.options.quality else None
        if self.plans is not None:
            self._build(self.plans, report, bar)
        self._record(comparisons, quality, bar)
        return quality

    def _assess(self, report: Report, bar: Bar) -> Quality:
        check = QualityCheck(self.checkpoint, self.parameters.default_steps, self.parameters.default_guidance_scale)
        graphs = {part: folder / "model.onnx" for part, folder in self.folders.items() if part != "tokenizer"}
        with bar("Painting with torch and with the graphs", check.total_steps) as advance:
            quality, pairs = check.run(graphs, advance)
        write_contact_sheet(pairs, self.folders["unet"] / _CONTACT_SHEET)
        for painted in quality.prompts:
            report(f"Painted {painted.prompt!r}: {painted.similarity}.")
        return quality

    def _build(self, plans: PlanBuilder, report: Report, bar: Bar) -> None:
        report(f"Building with {plans}; a Triton with another version or GPU refuses what comes out.")
        for part in [part for part in self.folders if part not in ("tokenizer", "unet")]:
            graph = self.folders[part] / "model.onnx"
            half = self.writer.precision_of(part) is Precision.FP16
            with bar(f"Building {part}"):
                plans.build(graph, graph.with_name("model.plan"), self.writer.shapes(part, *TENSORRT_BATCH), half)
            for file in graph.parent.glob("model.onnx*"):
                file.unlink()

    def _record(self, comparisons: Sequence[Comparison], quality: Quality | None, bar: Bar) -> None:
        source = Source.of(self.parameters.source, self.options, bar)
        with bar("Writing records", len(self.folders)) as advance:
            for part, folder in self.folders.items():
                Record(
                    source=source,
                    family=self.parameters.family,
                    version=self.parameters.version,
                    part=part,
                    target=self.options.target,
                    built_with=None if self.plans is None else str(self.plans),
                    precision=None if part == "tokenizer" else self.writer.precision_of(part),
                    comparisons=tuple(each for each in comparisons if each.part == part),
                    quality=quality if part == "unet" else None,
                ).write(folder)
                advance()
