"""Writes the graphs of a family's parts, each compared with the torch module that it was traced from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from export import graphs
from export.checkpoint import Checkpoint
from export.family_parameters import FamilyParameters
from export.graphs import Graph, Sample
from export.precision import Precision
from export.progress import Bar, Report
from export.shape_range import ShapeRange
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
# The side of the largest picture that graphs are compared at: attention over 768 x 768 takes more memory than a UNet.
_COMPARED_PIXELS: Final = 512


@dataclass(frozen=True, slots=True)
class GraphWriter:
    """The graphs of one checkpoint; `precision` is what the export asks for."""

    checkpoint: Checkpoint
    parameters: FamilyParameters
    precision: Precision

    def precision_of(self, part: str) -> Precision:
        """What the graph of a part computes in."""
        return self.precision.of_part(part, self.checkpoint)

    def shapes(self, part: str, usual: int, most: int) -> ShapeRange:
        """The shapes that a part's graph must take, up to `most` rows, fast for `usual`."""
        return ShapeRange.of(_GRAPHS[part](self.checkpoint), self.parameters, usual, most)

    def write(self, part: str, path: Path, report: Report, bar: Bar) -> list[Comparison]:
        """Writes a part's graph to the path; raises GraphMismatch where it does not compute what torch does."""
        graph, precision, parameters = _GRAPHS[part](self.checkpoint), self.precision_of(part), self.parameters
        report(f"Writing {part} in {precision}.")
        small = Sample(2, parameters.min_size, parameters.min_size + parameters.size_multiple, windows=2)
        with bar(f"Writing {part}"):
            trace(graph, path, small)
            precision.apply(path)
        size = (min(pixels, _COMPARED_PIXELS) for pixels in (parameters.native_width, parameters.native_height))
        samples = (Sample(2, *size, windows=1), replace(small, batch=3))
        comparisons = []
        with bar(f"Comparing {part} with torch", len(samples) * len(graph.outputs)) as advance:
            for comparison in compare(part, graph, path, samples, precision.tolerance):
                report(f"Compared {comparison}.")
                comparisons.append(comparison)
                advance()
        return comparisons
