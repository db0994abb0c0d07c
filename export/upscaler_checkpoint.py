"""A super-resolution checkpoint, loaded and checked."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
from torch import Tensor, nn

from export.errors import IncompleteCheckpoint, NotACheckpoint, UnsupportedCheckpoint

_ENDINGS: Final = (".safetensors", ".pth", ".pt", ".ckpt")
_LARGEST_FACTOR: Final = 8
# Sides of tiles in pixels before upscaling. What a graph holds in memory grows with the square of the largest.
_LARGEST_TILE: Final = 256
_SMALLEST_TILE: Final = 16


class Network(nn.Module):
    """A super-resolution network as every architecture of spandrel's can be called."""

    def __init__(self, descriptor: ImageModelDescriptor[nn.Module]) -> None:
        super().__init__()
        self.model = descriptor.model
        self._descriptor = descriptor

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] from 0 to 1 to [B, 3, factor*H, factor*W] from 0 to 1."""
        upscaled: Tensor = self._descriptor(pixels)
        return upscaled


@dataclass(frozen=True, slots=True)
class UpscalerCheckpoint:
    """A network in FP32, ready to run, and what its architecture asks of a picture.

    `factor` is how many times it enlarges each side. The sides of what it gets must be multiples of `size_multiple`,
    from `smallest_tile` to `largest_tile`, in pixels.
    """

    source: str
    architecture: str
    factor: int
    size_multiple: int
    smallest_tile: int
    largest_tile: int
    network: Network

    @classmethod
    def load(cls, path: Path) -> UpscalerCheckpoint:
        """Loads a file of any architecture that spandrel knows.

        Raises NotACheckpoint, IncompleteCheckpoint or UnsupportedCheckpoint.
        """
        if not path.is_file() or path.suffix.lower() not in _ENDINGS:
            raise NotACheckpoint(
                f"{str(path)!r} is no file that ends in {', '.join(_ENDINGS)}; name a super-resolution checkpoint."
            )
        try:
            with warnings.catch_warnings():
                # The architectures' own code is older than the torch it runs on.
                warnings.simplefilter("ignore")
                descriptor = ModelLoader().load_from_file(path)
        except UnsupportedModelError as error:
            raise UnsupportedCheckpoint(
                f"The weights in {str(path)!r} are of no architecture that spandrel knows; "
                "it lists them at https://github.com/chaiNNer-org/spandrel."
            ) from error
        except SafetensorError as error:
            raise IncompleteCheckpoint(f"{str(path)!r} is damaged: {error}.") from error
        except Exception as error:
            # What is wrong with a file decides which of a dozen exceptions the loaders raise.
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise IncompleteCheckpoint(f"{str(path)!r} can't be loaded: {reason}.") from error
        _check(descriptor, path)
        multiple = descriptor.size_requirements.multiple_of
        # Some architectures fold their weights for inference when they leave training.
        descriptor.to(torch.float32).eval()
        return cls(
            source=path.name,
            architecture=descriptor.architecture.name,
            factor=descriptor.scale,
            size_multiple=multiple,
            smallest_tile=-(-max(_SMALLEST_TILE, descriptor.size_requirements.minimum) // multiple) * multiple,
            largest_tile=_LARGEST_TILE - _LARGEST_TILE % multiple,
            network=Network(descriptor),
        )


def _check(descriptor: Any, path: Path) -> None:
    """Raises UnsupportedCheckpoint for a network that makes anything but a larger colour picture of a picture."""
    what = f"{str(path)!r} ({descriptor.architecture.name})"
    if not isinstance(descriptor, ImageModelDescriptor) or descriptor.purpose == "FaceSR":
        raise UnsupportedCheckpoint(
            f"{what} is for {descriptor.purpose}; only super-resolution of any picture is served."
        )
    if not 2 <= descriptor.scale <= _LARGEST_FACTOR:
        raise UnsupportedCheckpoint(
            f"{what} makes pictures {descriptor.scale} times as large; a factor from 2 to {_LARGEST_FACTOR} is needed."
        )
    if (descriptor.input_channels, descriptor.output_channels) != (3, 3):
        raise UnsupportedCheckpoint(
            f"{what} takes {descriptor.input_channels} channels and makes {descriptor.output_channels}; "
            "both must be 3 (RGB)."
        )
    requirements = descriptor.size_requirements
    if requirements.square or max(requirements.multiple_of, requirements.minimum) > _LARGEST_TILE // 2:
        raise UnsupportedCheckpoint(
            f"{what} needs pictures of {requirements.minimum} pixels or more, in multiples of "
            f"{requirements.multiple_of}{', square' if requirements.square else ''}; tiles of up to {_LARGEST_TILE} "
            "pixels can't be that."
        )
