"""The shapes that an engine must be built for: TensorRT's optimisation profile, from a family's limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from export.family_parameters import FamilyParameters
from export.graphs import Graph, Sample
from export.model_configs import MAX_WINDOWS

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """The shapes of a graph's inputs: the smallest and the largest that it takes, and what it is made fast for."""

    least: Shapes
    usual: Shapes
    most: Shapes

    @classmethod
    def of(cls, graph: Graph, parameters: FamilyParameters, usual: int, most: int) -> ShapeRange:
        """From one row of the smallest picture to `most` of the largest; fast for `usual` rows of the native size."""
        native = parameters.native_width, parameters.native_height
        return cls(
            _shapes(graph, Sample(1, parameters.min_size, parameters.min_size, windows=1)),
            _shapes(graph, Sample(usual, *native, windows=1)),
            _shapes(graph, Sample(most, parameters.max_size, parameters.max_size, windows=MAX_WINDOWS)),
        )

    def provider_options(self) -> dict[str, str]:
        """As options of ONNX Runtime's TensorRT provider."""
        return {
            "trt_profile_min_shapes": _text(self.least),
            "trt_profile_opt_shapes": _text(self.usual),
            "trt_profile_max_shapes": _text(self.most),
        }


def _shapes(graph: Graph, sample: Sample) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in graph.inputs(sample).items()}


def _text(shapes: Shapes) -> str:
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())
