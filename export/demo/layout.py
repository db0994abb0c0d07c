"""What a caption says is where, as numbers, and the heads that teach the text encoder to say so too.

A CLIP text encoder reads from left to right: in "a red circle right of a blue star" it does not know yet where the
circle goes when it encodes it; only the end and padding tokens can know everything. Each of these tokens is made to
stand for one place, by its position: a head reads the background, and colour and shape of what is at that place, from
its hidden state. The UNet's cross-attention then finds the colour of a place where it looks for places. The heads are a
training aid and not part of the checkpoint.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from export.demo.scenes import COLORS, Scene
from export.demo.shapes import SHAPES

_COLORS = tuple(COLORS)
PLACES = ("middle", "left", "right", "top", "bottom")
_MIDDLE_REACH = 0.1
_NOTHING = 0
# Most places of most captions are empty; without this weight the heads would learn to say little else.
_NOTHING_WEIGHT = 0.35
_IGNORED = -100


def _place(center: tuple[float, float]) -> int:
    across, down = center[0] - 0.5, center[1] - 0.5
    if max(abs(across), abs(down)) < _MIDDLE_REACH:
        return PLACES.index("middle")
    if abs(across) > abs(down):
        return PLACES.index("left" if across < 0 else "right")
    return PLACES.index("top" if down < 0 else "bottom")


def layout(scene: Scene) -> list[int]:
    """Eleven class numbers: the background's colour, then the colour, then the shape of what is at each place.

    A background that the caption does not name is ignored (class -100); an empty place has class 0.
    """
    background = _COLORS.index(scene.background) if scene.names_background else _IGNORED
    colors, shapes = [_NOTHING] * len(PLACES), [_NOTHING] * len(PLACES)
    for placed in scene.placed:
        place = _place(placed.center)
        colors[place] = 1 + _COLORS.index(placed.thing.color)
        shapes[place] = 1 + SHAPES.index(placed.thing.shape)
    return [background, *colors, *shapes]


@dataclass(frozen=True, slots=True)
class LayoutReading:
    """How well layouts are read: the loss, and the part of all things whose colour is right (0 to 1)."""

    loss: Tensor
    color_accuracy: float


class LayoutHeads(nn.Module):
    """Linear classifiers of background, colour and shape, the same for every place."""

    def __init__(self, width: int) -> None:
        """`width` is the text encoder's hidden size."""
        super().__init__()
        self.background = nn.Linear(width, len(_COLORS))
        self.color = nn.Linear(width, len(_COLORS) + 1)
        self.shape = nn.Linear(width, len(SHAPES) + 1)
        weights = torch.ones(len(_COLORS) + 1)
        weights[_NOTHING] = _NOTHING_WEIGHT
        self.register_buffer("color_weights", weights)
        self.register_buffer("shape_weights", weights[: len(SHAPES) + 1].clone())

    def forward(self, hidden: Tensor, behind_caption: Tensor, layouts: Tensor) -> LayoutReading:
        """Cross entropy over all tokens behind the captions; colours count twice.

        `hidden` is (N, L, width), `behind_caption` (N, L) is true at end and padding tokens, `layouts` is (N, 11). The
        token at position p stands for place p modulo 5.
        """
        rows, positions = behind_caption.nonzero(as_tuple=True)
        tokens, places = hidden[rows, positions], positions % len(PLACES)
        backgrounds = layouts[rows, 0]
        colors = layouts[rows, 1 + places]
        shapes = layouts[rows, 1 + len(PLACES) + places]
        color_logits = self.color(tokens)
        loss = (
            functional.cross_entropy(self.background(tokens), backgrounds, ignore_index=_IGNORED)
            + 2 * functional.cross_entropy(color_logits, colors, weight=self.color_weights)
            + functional.cross_entropy(self.shape(tokens), shapes, weight=self.shape_weights)
        ) / 4
        right = color_logits.argmax(dim=1) == colors
        return LayoutReading(loss, right[colors != _NOTHING].float().mean().item())
